"""The exported files as a device runs them whose kernels cache keys and values as int8."""

from __future__ import annotations

from pathlib import Path

from espalier_builder.export.graph import GRAPH_FILE, build_graph
from espalier_builder.export.write_graph import ExportedGraph
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.quantize.kv_cache import KvScales


def as_devices_run(exported: ExportedGraph, folder: Path, kv_scales: KvScales | None) -> OnnxDecoder:
    """What `write_graph` wrote into `folder`, in ONNX Runtime; with `kv_scales` keys and values are rounded.

    The graph that rounds lies in `folder` only while it is loaded.
    """
    if kv_scales is None:
        return OnnxDecoder(folder / GRAPH_FILE)
    rounding = folder / f"kv-cache-{GRAPH_FILE}"
    graph = build_graph(exported.spec, exported.formats, exported.layout, kv_scales)
    rounding.write_bytes(graph.SerializeToString(deterministic=True))
    try:
        return OnnxDecoder(rounding)
    finally:
        rounding.unlink()
