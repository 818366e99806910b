"""Models for the benchmark of predictions: per family a measurement kit, and variants that the kit has not seen.

    python bench/prediction_graphs.py --out DIR [--smollm2 FILE.gguf]

Random weights cost what real ones do, so variants of made-up shapes are written as graphs whose weights the benchmark
fills itself; those of SmolLM2 carry their real weights. They are pruned on random tokens: which neurons stay decides
the quality, which is not looked at here, not the cost.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from espalier_builder.checkpoint.load import load
from espalier_builder.contracts import Pruning
from espalier_builder.export.decoder_spec import DecoderSpec, LayerSpec
from espalier_builder.export.graph import GRAPH_FILE, build_graph, graph_contract
from espalier_builder.export.shape import shape_of
from espalier_builder.export.weight_layout import WEIGHTS_FILE, WeightLayout, lay_out
from espalier_builder.export.write_graph import write_graph
from espalier_builder.kit.build_kit import build_kit
from espalier_builder.prune.apply import Calibration, prune
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.quantize.weight_format import VariantFormats, WeightFormat, variant_formats

Q8 = WeightFormat(8, 128, True, 4)
Q4_SMALL = WeightFormat(4, 32, False, 4)
Q4 = WeightFormat(4, 128, False, 4)
SEED = 0
# Rows and tokens of the random text that pruning looks at.
CALIBRATION = (4, 128)


@dataclass(frozen=True, slots=True)
class Family:
    """Variants of one dense model. `random`: (FFN sizes per layer, format)."""

    name: str
    spec: DecoderSpec
    formats: tuple[WeightFormat, ...]
    random: tuple[tuple[tuple[int, ...], WeightFormat], ...]


def decoder(hidden: int, heads: int, kv_heads: int, vocabulary: int, ffn: int, layers: int) -> DecoderSpec:
    layer = LayerSpec(heads=heads, kv_heads=kv_heads, ffn_size=ffn)
    return DecoderSpec(hidden, 64, vocabulary, 8192, 1e-5, True, (layer,) * layers)


def ramp(first: int, last: int, layers: int) -> tuple[int, ...]:
    """Widths that fall from layer to layer, multiples of 32."""
    return tuple(round((first + (last - first) * i / (layers - 1)) / 32) * 32 for i in range(layers))


FAMILIES = (
    Family(
        "smollm2",
        decoder(576, 9, 3, 49152, 1536, 30),
        (Q8, Q4_SMALL, Q4),
        (
            ((1536,) * 24, Q4),
            ((1024,) * 30, Q8),
            (ramp(1536, 768, 30), Q4_SMALL),
            ((1152,) * 20, Q8),
            ((1184,) * 30, Q4),
            ((1536,) * 15, Q4_SMALL),
        ),
    ),
    Family(
        "wide",
        decoder(768, 12, 4, 32000, 2048, 14),
        (Q8, Q4),
        (
            ((2048,) * 14, Q8),
            ((2048,) * 14, Q4),
            ((1408,) * 14, Q4),
            ((2048,) * 10, Q8),
            (ramp(2048, 1024, 14), Q8),
        ),
    ),
    Family(
        "narrow",
        decoder(256, 4, 2, 8192, 768, 12),
        (Q8, Q4_SMALL),
        (
            ((768,) * 12, Q8),
            ((768,) * 12, Q4_SMALL),
            ((416,) * 12, Q4_SMALL),
            ((768,) * 8, Q8),
            (ramp(768, 256, 12), Q4_SMALL),
            ((512,) * 6, Q8),
        ),
    ),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--smollm2", type=Path)
    options = parser.parse_args()
    for family in FAMILIES:
        folder = options.out / family.name
        folder.mkdir(parents=True)
        build_kit(family.spec, f"sha256:{'0' * 64}", family.formats, folder / "kit")
        variants = list(random_variants(family, folder))
        if family.name == "smollm2" and options.smollm2 is not None:
            variants += real_variants(options.smollm2, folder)
        (folder / "variants.json").write_text(json.dumps(variants))
        print(f"{family.name}: {len(variants)} variants")


def random_variants(family: Family, folder: Path) -> Iterator[dict[str, Any]]:
    for widths, weight_format in family.random:
        layers = tuple(replace(family.spec.layers[0], ffn_size=width) for width in widths)
        spec = replace(family.spec, layers=layers)
        formats = variant_formats(weight_format, spec.hidden_size)
        layout = lay_out(spec, formats)
        sizes = f"{widths[0]}" if widths[0] == widths[-1] else f"{widths[0]}-{widths[-1]}"
        name = f"random-d{len(widths)}f{sizes}-{weight_format.key}"
        (folder / name).mkdir()
        graph = build_graph(spec, formats, layout)
        (folder / name / GRAPH_FILE).write_bytes(graph.SerializeToString(deterministic=True))
        yield described(name, spec, formats, layout, real=False)


def real_variants(gguf: Path, folder: Path) -> Iterator[dict[str, Any]]:
    model = load(gguf).model
    rows = torch.randint(model.config.vocab_size, CALIBRATION, generator=torch.Generator().manual_seed(SEED))
    calibration = Calibration(rows, collect_statistics(model, rows, bf16=False))
    levels = (
        ("dense", Pruning("none", 0.0, 32, False), (Q8, Q4_SMALL, Q4)),
        ("cfsp-rel-20", Pruning("cfsp-rel", 0.2, 32, False), (Q4,)),
        ("tail-20", Pruning("tail", 0.2, 32, False), (Q8,)),
    )
    for level, pruning, weight_formats in levels:
        pruned = prune(model, pruning, calibration).model
        for weight_format in weight_formats:
            name = f"{level}-{weight_format.key}"
            (folder / name).mkdir()
            written = write_graph(pruned, variant_formats(weight_format, model.config.hidden_size), folder / name)
            yield described(name, written.spec, written.formats, written.layout, real=True)


def described(
    name: str, spec: DecoderSpec, formats: VariantFormats, layout: WeightLayout, *, real: bool
) -> dict[str, Any]:
    return {
        "name": name,
        "real": real,
        "shape": shape_of(spec, formats),
        "graph": graph_contract(spec),
        "weightsFile": WEIGHTS_FILE,
        "weightsBytes": layout.total_bytes,
        "tensors": [tensor.to_json() for tensor in layout.tensors],
    }


if __name__ == "__main__":
    main()
