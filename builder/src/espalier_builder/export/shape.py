"""A variant's `VariantShape`: what its cost follows from, exact before anything is built."""

from __future__ import annotations

from typing import Any

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import KvCacheFormat, Recipe
from espalier_builder.export.decoder_spec import DecoderSpec, spec_of
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.quantize.weight_format import VariantFormats, linear_format, variant_formats


def variant_shape(model: DecoderModel, recipe: Recipe) -> dict[str, Any]:
    """The `VariantShape` contract of `model`, which `recipe` prunes to. `weightBytes`: the size of the weights file."""
    spec = spec_of(model)
    return shape_of(spec, variant_formats(linear_format(recipe.quantization), spec.hidden_size), recipe.kv_cache)


def shape_of(spec: DecoderSpec, formats: VariantFormats, kv_cache: KvCacheFormat | None = None) -> dict[str, Any]:
    layout = lay_out(spec, formats)
    shape = {
        "hiddenSize": spec.hidden_size,
        "headSize": spec.head_size,
        "vocabularySize": spec.vocabulary_size,
        "contextLength": spec.context_length,
        "layers": [
            {"heads": layer.heads, "kvHeads": layer.kv_heads, "ffnSize": layer.ffn_size} for layer in spec.layers
        ],
        "linearFormat": formats.linear.to_json(),
        "embeddingFormat": formats.embedding.to_json(),
        "nonEmbeddingParameters": spec.non_embedding_parameters,
        "weightBytes": layout.total_bytes,
        "embeddingBytes": layout.embedding_bytes,
    }
    return shape if kv_cache is None else shape | {"kvCache": kv_cache}
