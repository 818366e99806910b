"""The front as a picture: an SVG without anything from elsewhere."""

from __future__ import annotations

import math
from html import escape
from pathlib import Path

from espalier_builder.artifact.whole_file import write_whole
from espalier_builder.contracts import Recipe, recipe_name
from espalier_builder.search.front import Candidate, Floor, cost, damage

_WIDTH, _HEIGHT = 900, 560
_LEFT, _RIGHT, _TOP, _BOTTOM = 70, 240, 50, 60
_LEAST_KL = 1e-5
_LINE = 13


def plot_front(
    candidates: list[Candidate], front: list[Candidate], floor: Floor, best: Candidate | None, file: Path
) -> None:
    """Every trial by weight and KL, both on logarithmic scales; the front joined and named, `best` ringed."""
    megabytes = [cost(each) / 1e6 for each in candidates]
    kls = [max(damage(each), _LEAST_KL) for each in candidates]
    low_x, high_x = min(megabytes) / 1.05, max(megabytes) * 1.05
    low_y, high_y = min(kls) / 1.5, max(kls) * 1.5

    def x(value: float) -> float:
        return _LEFT + math.log(value / low_x) / math.log(high_x / low_x) * (_WIDTH - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _HEIGHT - _BOTTOM - math.log(value / low_y) / math.log(high_y / low_y) * (_HEIGHT - _TOP - _BOTTOM)

    def place(candidate: Candidate) -> tuple[float, float]:
        return x(cost(candidate) / 1e6), y(max(damage(candidate), _LEAST_KL))

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12">',
        "<title>Levels by weight and KL to the dense model</title>",
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="white"/>',
        f'<text x="{_LEFT}" y="26">{len(candidates)} levels. Filled: {escape(str(floor))}; ringed: the lightest of '
        "those; on the line: no other is lighter and better.</text>",
        f'<text x="{_LEFT}" y="{_HEIGHT - 16}">weights, MB</text>',
        f'<text x="18" y="{_HEIGHT / 2}" text-anchor="middle" transform="rotate(-90 18 {_HEIGHT / 2})">'
        "KL to the dense model, nats a token</text>",
    ]
    for tick in ticks_between(low_x, high_x):
        parts.append(f'<path d="M{x(tick):.1f} {_TOP}V{_HEIGHT - _BOTTOM}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{_HEIGHT - _BOTTOM + 18}" text-anchor="middle">{tick:g}</text>')
    for tick in ticks_between(low_y, high_y):
        parts.append(f'<path d="M{_LEFT} {y(tick):.1f}H{_WIDTH - _RIGHT}" stroke="#e4e4e4"/>')
        parts.append(f'<text x="{_LEFT - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>')
    line = " ".join(f"{across:.1f},{down:.1f}" for across, down in map(place, front))
    parts.append(f'<polyline points="{line}" fill="none" stroke="#2a6f4e"/>')
    others = [candidate for candidate in front if candidate is not best]
    named: list[float] = []
    for candidate in others if best is None else [best, *others]:
        across, down = place(candidate)
        # A name that would cover another is left to the point's tooltip.
        if all(abs(down - other) >= _LINE for other in named):
            name = escape(recipe_name(Recipe.from_json(candidate["recipe"])))
            weight = "bold" if candidate is best else "normal"
            parts.append(
                f'<text x="{across + 12:.1f}" y="{down - 3:.1f}" font-weight="{weight}" stroke="white" '
                f'stroke-width="3" paint-order="stroke">{name}</text>'
            )
            named.append(down)
    for candidate in candidates:
        across, down = place(candidate)
        fill = "#2a6f4e" if floor.violation(candidate) <= 0 else "none"
        name = escape(recipe_name(Recipe.from_json(candidate["recipe"])))
        parts.append(
            f'<circle cx="{across:.1f}" cy="{down:.1f}" r="4" fill="{fill}" stroke="#2a6f4e">'
            f"<title>{name}</title></circle>"
        )
    if best is not None:
        across, down = place(best)
        parts.append(f'<circle cx="{across:.1f}" cy="{down:.1f}" r="9" fill="none" stroke="#c2410c" stroke-width="2"/>')
    write_whole(file, "\n".join([*parts, "</svg>"]) + "\n")


def ticks_between(low: float, high: float) -> list[float]:
    """Round values between the ends of a logarithmic scale: 1, 2 or 5 times a power of ten, and where that gives fewer
    than three, finer ones."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    ticks: list[float] = []
    for digits in ((1, 2, 5), (1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9)):
        ticks = [tick for power in powers for digit in digits if low <= (tick := digit * 10.0**power) <= high]
        if len(ticks) >= 3:
            break
    return ticks
