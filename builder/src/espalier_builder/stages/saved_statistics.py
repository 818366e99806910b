"""The dense model's statistics as files."""

from __future__ import annotations

import json
from pathlib import Path

from safetensors.torch import load_file, save_file

from espalier_builder.prune.statistics import Moments, Statistics
from espalier_builder.stages.dense_stages import FACTS, TENSORS


def write_statistics(value: Statistics, folder: Path) -> None:
    tensors = {"last_states": value.last_states}
    for name, moments in (("ffn", value.ffn), ("attention", value.attention)):
        for index, each in enumerate(moments):
            tensors |= {f"{name}.{index}.mean": each.mean, f"{name}.{index}.variance": each.variance}
    save_file(tensors, folder / TENSORS)
    facts = {"angles": value.angles, "influences": value.influences, "rows": value.rows, "tokens": value.tokens}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf8")


def read_statistics(folder: Path) -> Statistics:
    """What `write_statistics` wrote."""
    tensors = load_file(folder / TENSORS)
    facts = json.loads((folder / FACTS).read_text(encoding="utf8"))

    def moments(name: str) -> tuple[Moments, ...]:
        layers = range(len(facts["angles"]))
        return tuple(Moments(tensors[f"{name}.{at}.mean"], tensors[f"{name}.{at}.variance"]) for at in layers)

    return Statistics(
        ffn=moments("ffn"),
        attention=moments("attention"),
        angles=tuple(facts["angles"]),
        influences=tuple(facts["influences"]),
        last_states=tensors["last_states"],
        rows=facts["rows"],
        tokens=facts["tokens"],
    )
