"""Which small decoders a kit holds: sizes from which the cost of a layer and of an FFN column can be told apart."""

from __future__ import annotations

from dataclasses import dataclass, replace

from espalier_builder.export.decoder_spec import DecoderSpec, LayerSpec
from espalier_builder.export.weight_layout import lay_out
from espalier_builder.quantize.weight_format import VariantFormats

# As deep as the model, so that a kit lies in the last-level cache no more than the model does.
# Shallow models still need a difference of layers to read a layer's cost from.
_LEAST_DEEPEST = 12
_DEEP_TO_SHALLOW = 2
_LEAST_DEEP = 2
# Beyond every last-level cache; deeper kits would only take longer.
_LARGEST_WEIGHTS_BYTES = 300 * 1024 * 1024
# Positions that a kit's rotary tables cover; the lengths that are timed lie below.
_LONGEST_CONTEXT = 4096


@dataclass(frozen=True, slots=True)
class KitSize:
    depth: int
    ffn_size: int


def kit_sizes(spec: DecoderSpec, formats: VariantFormats) -> list[KitSize]:
    """Two depths at the model's widest FFN, and the deeper one at about half of it.

    Three unknowns (fixed cost, a layer without FFN columns, an FFN column) and three graphs.
    """
    widest = max(layer.ffn_size for layer in spec.layers)
    deep = max(_LEAST_DEEPEST, len(spec.layers))
    while (
        deep > _LEAST_DEEP
        and lay_out(kit_spec(spec, KitSize(deep, widest)), formats).total_bytes > _LARGEST_WEIGHTS_BYTES
    ):
        deep -= _DEEP_TO_SHALLOW
    shallow = max(1, deep // _DEEP_TO_SHALLOW)
    sizes = [KitSize(shallow, widest), KitSize(deep, widest)]
    narrow = _half(widest)
    return sizes if narrow == widest else [*sizes, KitSize(deep, narrow)]


def kit_spec(spec: DecoderSpec, size: KitSize) -> DecoderSpec:
    """The model's decoder cut to a kit's size: `depth` layers like its first one, each with `ffn_size` neurons."""
    layer: LayerSpec = replace(spec.layers[0], ffn_size=size.ffn_size)
    return replace(spec, layers=(layer,) * size.depth, context_length=min(spec.context_length, _LONGEST_CONTEXT))


def _half(ffn_size: int) -> int:
    """About half, a multiple of what the kernels like best at that size: padding would be timed as columns."""
    multiple = 128 if ffn_size >= 512 else 32 if ffn_size >= 128 else 1
    return max(multiple, round(ffn_size / 2 / multiple) * multiple) if ffn_size > multiple else ffn_size
