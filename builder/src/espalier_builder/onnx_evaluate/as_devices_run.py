"""The exported files as a device runs them whose kernels cache keys and values as int8."""

from __future__ import annotations

from pathlib import Path

from espalier_builder.accuracy_level import at_level_0
from espalier_builder.export.graph import GRAPH_FILE, build_graph
from espalier_builder.export.write_graph import ExportedGraph
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.quantize.kv_cache import KvScales


def as_devices_run(exported: ExportedGraph, folder: Path, kv_scales: KvScales | None) -> OnnxDecoder:
    """What `write_graph` wrote into `folder`, in ONNX Runtime; with `kv_scales` keys and values are rounded."""
    if kv_scales is None:
        return OnnxDecoder(folder / GRAPH_FILE)
    graph = build_graph(exported.spec, exported.formats, exported.layout, kv_scales)
    return OnnxDecoder(graph, weights=folder)


def without_rounding(exported: ExportedGraph, folder: Path) -> OnnxDecoder:
    """The same weights with activations, keys and values in floats: what every device's rounding comes near to."""
    graph = build_graph(exported.spec, at_level_0(exported.formats), exported.layout)
    return OnnxDecoder(graph, weights=folder)
