"""A variant's `VariantShape`: what its cost follows from, exact before anything is built."""

from __future__ import annotations

from typing import Any

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import KvCacheFormat, Recipe
from espalier_builder.export.decoder_spec import DecoderSpec, spec_of
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.quantize.weight_format import (
    LinearFormats,
    MixedFormats,
    VariantFormats,
    WeightFormat,
    variant_formats,
)

# A layer's matrices by their names in the exported file.
MATRICES = ("attention.qkv", "attention.output", "ffn.gate_up", "ffn.down")


def variant_shape(model: DecoderModel, recipe: Recipe, linear: LinearFormats) -> dict[str, Any]:
    """The `VariantShape` contract of `model`, which `recipe` prunes to, with its linears in these formats.

    `weightBytes`: the size of the weights file.
    """
    spec = spec_of(model)
    return shape_of(spec, variant_formats(linear, spec.hidden_size), recipe.kv_cache)


def shape_of(spec: DecoderSpec, formats: VariantFormats, kv_cache: KvCacheFormat | None = None) -> dict[str, Any]:
    layout = lay_out(spec, formats)
    shape: dict[str, Any] = {
        "hiddenSize": spec.hidden_size,
        "headSize": spec.head_size,
        "vocabularySize": spec.vocabulary_size,
        "contextLength": spec.context_length,
        "layers": [
            {"heads": layer.heads, "kvHeads": layer.kv_heads, "ffnSize": layer.ffn_size} for layer in spec.layers
        ],
        "linearFormat": formats.linear.main.to_json(),
        "embeddingFormat": formats.embedding.to_json(),
        "nonEmbeddingParameters": spec.non_embedding_parameters,
        "weightBytes": layout.total_bytes,
        "embeddingBytes": layout.embedding_bytes,
    }
    if exceptions := _exceptions(spec, formats.linear):
        shape["exceptions"] = exceptions
    if kv_cache is not None:
        shape["kvCache"] = kv_cache
    if not all(layer.gated for layer in spec.layers):
        shape["ungatedFfn"] = True
    return shape


def linear_formats(shape: dict[str, Any]) -> LinearFormats:
    """The formats that a `VariantShape` tells."""
    main = WeightFormat.from_json(shape["linearFormat"])
    exceptions = shape.get("exceptions", [])
    if not exceptions:
        return main
    widened = frozenset(f"layers.{each['layer']}.{each['matrix']}" for each in exceptions)
    return MixedFormats(main, WeightFormat.from_json(exceptions[0]["format"]), widened)


def _exceptions(spec: DecoderSpec, linear: LinearFormats) -> list[dict[str, Any]]:
    places = [(layer, matrix) for layer in range(len(spec.layers)) for matrix in MATRICES]
    formats = [(layer, matrix, linear.of(f"layers.{layer}.{matrix}")) for layer, matrix in places]
    return [
        {"layer": layer, "matrix": matrix, "format": each.to_json()}
        for layer, matrix, each in formats
        if each != linear.main
    ]
