"""Writes a measurement kit: graphs and the lists of tensors that a device fills by itself."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from espalier_builder.artifact.chunks import file_entry
from espalier_builder.artifact.write_document import write_document
from espalier_builder.export.decoder_spec import DecoderSpec
from espalier_builder.export.graph import GRAPH_FILE, build_graph, graph_contract
from espalier_builder.export.shape import shape_of
from espalier_builder.export.weight_layout import WEIGHTS_FILE, lay_out
from espalier_builder.kit.kit_sizes import KitSize, kit_sizes, kit_spec
from espalier_builder.quantize.weight_format import VariantFormats, WeightFormat, variant_formats

KIT_FILE = "kit.json"
# Small enough that activations stay finite through any depth, far from subnormal numbers, which would slow the kernels.
_FLOAT_FILL = 0.01


def build_kit(spec: DecoderSpec, model_digest: str, formats: Sequence[WeightFormat], folder: Path) -> str:
    """Writes graph files and `kit.json` (the `Kit` contract) into `folder`; returns the kit's digest."""
    graphs: list[dict[str, Any]] = []
    for weight_format in formats:
        both = variant_formats(weight_format, spec.hidden_size)
        graphs += [_write_graph(spec, both, size, folder) for size in kit_sizes(spec, both)]
    kit = {
        "schemaVersion": 1,
        "kind": "kit",
        "modelDigest": model_digest,
        "floatFill": _FLOAT_FILL,
        "graphs": graphs,
        "files": [file_entry(folder, graph["graph"]["file"]) for graph in graphs],
    }
    return write_document(folder / KIT_FILE, "Kit", kit)


def _write_graph(spec: DecoderSpec, formats: VariantFormats, size: KitSize, folder: Path) -> dict[str, Any]:
    small = kit_spec(spec, size)
    layout = lay_out(small, formats)
    name = f"{formats.linear.main.key}/d{size.depth}f{size.ffn_size}"
    path = folder / name
    path.mkdir(parents=True)
    (path / GRAPH_FILE).write_bytes(build_graph(small, formats, layout).SerializeToString(deterministic=True))
    return {
        "id": name,
        "format": formats.linear.main.to_json(),
        "depth": size.depth,
        "ffnSize": size.ffn_size,
        "shape": shape_of(small, formats),
        "graph": {**graph_contract(small), "file": f"{name}/{GRAPH_FILE}"},
        "weightsFile": f"{name}/{WEIGHTS_FILE}",
        "weightsBytes": layout.total_bytes,
        "tensors": [{**tensor.to_json(), "file": f"{name}/{WEIGHTS_FILE}"} for tensor in layout.tensors],
    }
