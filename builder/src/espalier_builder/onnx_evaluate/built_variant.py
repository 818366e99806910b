"""A built artifact in ONNX Runtime, as devices run it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

from espalier_builder.artifact.manifest import KV_CACHE_FILE
from espalier_builder.artifact.read_variant import read_document
from espalier_builder.export.decoder_spec import DecoderSpec, LayerSpec
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.shape import linear_formats
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.export.write_graph import ExportedGraph
from espalier_builder.failure import BuilderError
from espalier_builder.onnx_evaluate.as_devices_run import as_devices_run
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.quantize.kv_cache import KvScales
from espalier_builder.quantize.weight_format import VariantFormats, WeightFormat


def load_variant(folder: Path, manifest: dict[str, Any], dense: DecoderSpec) -> OnnxDecoder:
    """The artifact in `folder`, built from a model of sizes `dense`; keys and values rounded if it has an int8 cache.

    Raises BuilderError `VARIANT_INVALID`.
    """
    if "kvCache" not in manifest:
        return OnnxDecoder(folder / GRAPH_FILE)
    scales = KvScales.from_json(read_document(folder / KV_CACHE_FILE, "KvCacheScales"))
    return as_devices_run(_exported(manifest, dense), folder, scales)


def _exported(manifest: dict[str, Any], dense: DecoderSpec) -> ExportedGraph:
    """What `write_graph` returned when the artifact was built."""
    shape, names = manifest["shape"], {tensor["name"] for tensor in manifest["tensors"]}
    layers = tuple(
        LayerSpec(
            heads=layer["heads"],
            kv_heads=layer["kvHeads"],
            ffn_size=layer["ffnSize"],
            qkv_bias=f"layers.{index}.attention.qkv.bias" in names,
            output_bias=f"layers.{index}.attention.output.bias" in names,
            gate_up_bias=f"layers.{index}.ffn.gate_up.bias" in names,
            down_bias=f"layers.{index}.ffn.down.bias" in names,
            gated="ungatedFfn" not in shape,
        )
        for index, layer in enumerate(shape["layers"])
    )
    spec = replace(dense, layers=layers)
    formats = VariantFormats(linear_formats(shape), WeightFormat.from_json(shape["embeddingFormat"]))
    layout = lay_out(spec, formats)
    if [tensor.to_json() for tensor in layout.tensors] != manifest["tensors"]:
        raise BuilderError(
            "VARIANT_INVALID", f"{manifest['name']} holds its weights otherwise than this builder does", "build it anew"
        )
    return ExportedGraph(spec, formats, layout)
