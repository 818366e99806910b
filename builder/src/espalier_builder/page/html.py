"""The page itself: one HTML file that asks nothing of any other."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from espalier_builder.evaluate.generations import STUCK, generations, repetition
from espalier_builder.page.answers import Answer, SideBySide
from espalier_builder.page.documents import DocumentQuality
from espalier_builder.page.removed import LayerRemoval

_STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1c1917; margin: 2rem auto; max-width: 62rem; padding: 0 1rem; }
h1 { font-size: 1.5rem; margin-bottom: 0; } h2 { font-size: 1.1rem; margin-top: 2.2rem; }
p.facts { color: #57534e; margin-top: .2rem; }
table { border-collapse: collapse; width: 100%; } table + table { margin-top: 1.4rem; }
th { text-align: left; font-weight: 600; }
th, td { padding: .3rem .6rem .3rem 0; border-bottom: 1px solid #e7e5e4; vertical-align: top; }
td.n, th.n { text-align: right; font-variant-numeric: tabular-nums; }
td.text { white-space: pre-wrap; width: 42%; } .stuck { color: #c2410c; }
svg text { font: 11px system-ui, sans-serif; fill: #57534e; }
"""
_HEAT_MAP = (
    "A square is a head of attention or a run of neurons: green stays, dark red is gone. Zeros: the share of a layer's "
    "stored weights that are exactly 0, by a mask or by rounding."
)
_CELL, _GAP, _LEFT = 14, 2, 64
_WORST = 8


def page(
    manifest: dict[str, Any],
    report: dict[str, Any],
    removed: Sequence[LayerRemoval],
    documents: Sequence[DocumentQuality],
    answers: Sequence[SideBySide],
    answer_tokens: int,
) -> str:
    """The whole page; an answer has `answer_tokens` at most. What comes from a model or a text is escaped."""
    exported = report["stages"][-1]
    protocol = exported["protocol"]
    facts = (
        f"{report['achievedSparsity']:.1%} of all non-embedding parameters removed ({report['requestedSparsity']:.1%} "
        f"asked). Figures on {protocol['tokens']:,} tokens in windows of {protocol['sequenceLength']:,}; exported "
        f"files in ONNX Runtime {protocol['engineVersion']}, the stages before in PyTorch."
        + (" Keys and values are rounded to int8 wherever the variant runs." if "kvCache" in manifest else "")
    )
    parts = [
        _stages(report),
        _slices(report.get("slices", [])),
        "<h2>What was removed</h2>",
        f"<p class='facts'>{_HEAT_MAP}</p>",
        heat_map(removed),
        _documents(documents),
        _answers(answers, answer_tokens),
        _costs(report),
        _notes(report["notes"]),
    ]
    title = f"{manifest['modelName']}: {manifest['name']}"
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{escape(title)}</h1><p class='facts'>{escape(facts)}</p>"
        f"{''.join(parts)}</body></html>\n"
    )


def _notes(notes: Sequence[str]) -> str:
    items = "".join(f"<li>{escape(note)}</li>" for note in notes)
    return f"<h2>Notes</h2><ul>{items}</ul>" if notes else ""


def _table(head: Sequence[str], rows: Sequence[Sequence[str]], numbers: int) -> str:
    """`rows` of HTML; the last `numbers` columns hold numbers."""
    first = len(head) - numbers

    def line(cells: Sequence[str], tag: str) -> str:
        classes = ["" if at < first else ' class="n"' for at in range(len(cells))]
        return (
            "<tr>"
            + "".join(f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(classes, cells, strict=True))
            + "</tr>"
        )

    return f"<table>{line(head, 'th')}{''.join(line(row, 'td') for row in rows)}</table>"


def _stages(report: dict[str, Any]) -> str:
    rows = []
    for row in report["stages"]:
        quality = row["quality"]
        rows.append(
            [
                row["stage"],
                f"{row['parameters'] / 1e6:.2f}",
                f"{row['sizeBytes'] / 1e6:.1f}",
                f"{quality['perplexity']:.2f}",
                f"{quality['bitsPerByte']:.3f}",
                f"{quality['agreement']:.1%}",
                f"{quality['kl']:.4f} &plusmn; {quality['klHalfWidth']:.4f}",
            ]
        )
    head = ["after", "million parameters", "MB", "perplexity", "bits per byte", "agrees with dense", "KL, nats a token"]
    return "<h2>Stage by stage</h2>" + _table(head, rows, 6)


def _slices(slices: Sequence[dict[str, Any]]) -> str:
    """The text's named slices, those that lost most first; nothing where the text names none."""
    if not slices:
        return ""

    def lost(part: dict[str, Any]) -> float:
        loss: float = part["exported"]["bitsPerByte"] - part["dense"]["bitsPerByte"]
        return loss

    rows = [
        [
            escape(part["name"]),
            f"{part['tokens']:,}",
            f"{part['dense']['bitsPerByte']:.3f}",
            f"{part['exported']['bitsPerByte']:.3f}",
            f"{lost(part):+.3f}",
            f"{part['exported']['agreement']:.1%}",
            f"{part['exported']['kl']:.4f} &plusmn; {part['exported']['klHalfWidth']:.4f}",
        ]
        for part in sorted(slices, key=lost, reverse=True)
    ]
    head = ["slice", "tokens", "dense bits per byte", "variant", "lost", "agrees", "KL, nats a token"]
    return "<h2>Slices, worst first</h2>" + _table(head, rows, 6)


def heat_map(removed: Sequence[LayerRemoval]) -> str:
    """A row a layer: its query heads, then its FFN neurons in runs; the darker, the more of it is gone."""
    most_heads = max((len(layer.heads) for layer in removed), default=1)
    most_runs = max((len(layer.neurons) for layer in removed), default=1)
    ffn_left = _LEFT + most_heads * _CELL + 20
    run = max(4, min(_CELL, 600 // most_runs))
    zeros_left = ffn_left + most_runs * run + 12
    height = 24 + len(removed) * _CELL + 6
    parts = [
        f'<svg width="{zeros_left + 130}" height="{height}" role="img" aria-label="what was removed, layer by layer">',
        f'<text x="{_LEFT}" y="14">heads</text><text x="{ffn_left}" y="14">FFN neurons, in order</text>',
        f'<text x="{zeros_left}" y="14">gone of FFN; zeros</text>',
    ]
    for index, layer in enumerate(removed):
        top = 22 + index * _CELL
        parts.append(f'<text x="0" y="{top + 11}">layer {index}</text>')
        for left, width, shares, what in (
            (_LEFT, _CELL, layer.heads, "head"),
            (ffn_left, run, layer.neurons, "neurons, run"),
        ):
            for at, share in enumerate(shares):
                parts.append(
                    f'<rect x="{left + at * width}" y="{top}" width="{width - min(_GAP, width // 4)}" '
                    f'height="{_CELL - _GAP}" fill="{_shade(share)}">'
                    f"<title>layer {index}, {what} {at}: {share:.0%} removed</title></rect>"
                )
        gone = sum(layer.neurons) / len(layer.neurons)
        parts.append(f'<text x="{zeros_left}" y="{top + 11}">{gone:.0%}; {layer.zeros:.0%}</text>')
    return "".join([*parts, "</svg>"])


def _shade(share: float) -> str:
    """From what stays (pale green) to what is gone (dark red)."""
    stays, gone = (220, 238, 226), (153, 27, 27)
    return "#" + "".join(f"{round(low + (high - low) * share):02x}" for low, high in zip(stays, gone, strict=True))


def _documents(documents: Sequence[DocumentQuality]) -> str:
    rows = [
        [
            escape(each.opening),
            f"{each.tokens:,}",
            f"{each.dense_bits_per_byte:.3f}",
            f"{each.bits_per_byte:.3f}",
            f"{each.lost:+.3f}",
            f"{each.agreement:.1%}",
        ]
        for each in documents[:_WORST]
    ]
    head = ["document", "tokens", "dense bits per byte", "variant", "lost", "agrees"]
    return f"<h2>Where it lost most, of {len(documents)} documents</h2>" + _table(head, rows, 5)


def _answers(answers: Sequence[SideBySide], most_tokens: int) -> str:
    def cell(answer: Answer) -> str:
        if not answer.ids:
            return '<td class="text"><span class="stuck">empty</span></td>'
        repeated = repetition(answer.ids)
        share = f"{repeated:.0%} repeated"
        stuck = f' <span class="stuck">{share}: stuck</span>' if repeated > STUCK else f" <small>{share}</small>"
        return f'<td class="text">{escape(answer.text)}{stuck}</td>'

    lines = "".join(
        f"<tr><td>{escape(each.prompt)}</td>{cell(each.dense)}{cell(each.variant)}</tr>" for each in answers
    )
    return (
        f"<h2>Greedy answers</h2>{_degenerate(answers, most_tokens)}"
        f"<table><tr><th>prompt</th><th>dense</th><th>variant</th></tr>{lines}</table>"
    )


def _degenerate(answers: Sequence[SideBySide], most_tokens: int) -> str:
    """How many are no text: a row of the dense model and one of the variant."""

    def row(name: str, ids: list[list[int]]) -> list[str]:
        found = generations(ids, most_tokens)
        counts = [str(count) for count in (found.empty, found.endless, found.stuck)]
        return [name, *counts, f"{found.repetition:.0%}", f"{found.distinct:.0%}"]

    facts = (
        f"Of {len(answers)} answers. Endless: cut off after {most_tokens} tokens. Stuck: more than half of an answer's "
        "runs of four tokens were said in it before. Distinct pairs: of neighbouring tokens in all answers."
    )
    rows = [row("dense", [each.dense.ids for each in answers]), row("variant", [each.variant.ids for each in answers])]
    head = ["", "empty", "endless", "stuck", "repeated", "distinct pairs"]
    return f"<p class='facts'>{escape(facts)}</p>{_table(head, rows, 5)}"


def _costs(report: dict[str, Any]) -> str:
    def amount(value: float | None, scale: float, digits: int) -> str:
        return "unavailable" if value is None else f"{value / scale:,.{digits}f}"

    rows = [
        [
            entry["stage"] + (" (cached)" if entry["cost"]["cached"] else ""),
            f"{entry['cost']['seconds']:.1f}",
            amount(entry["cost"]["peakMemoryBytes"], 1e6, 0),
            amount(entry["cost"]["energyJoules"], 1, 0),
        ]
        for entry in report["costs"]
    ]
    return "<h2>What it cost</h2>" + _table(["stage", "seconds", "peak memory, MB", "energy, J"], rows, 3)
