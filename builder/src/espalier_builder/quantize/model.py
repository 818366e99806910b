"""A model as its quantized variant computes it: every quantized matrix replaced by its de-quantized values."""

from __future__ import annotations

import copy

import torch
from transformers import LlamaForCausalLM

from espalier_builder.contracts import Quantization
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import VariantFormats, WeightFormat, linear_format, variant_formats


def dequantized_copy(model: LlamaForCausalLM, quantization: Quantization) -> LlamaForCausalLM:
    """A copy of `model` (fp32) with the weights of the variant that `quantization` makes of it; `model` is untouched.

    A tied pair of embedding and head stays tied. Raises BuilderError `WEIGHTS_NOT_FINITE`.
    """
    return dequantized(model, variant_formats(linear_format(quantization), model.config.hidden_size))


@torch.no_grad()
def dequantized(model: LlamaForCausalLM, formats: VariantFormats) -> LlamaForCausalLM:
    """As `dequantized_copy`, for formats that are already chosen."""
    result = copy.deepcopy(model)
    for layer in result.model.layers:
        for module in layer.modules():
            if isinstance(module, torch.nn.Linear):
                _round_in_place(module.weight, formats.linear)
    embedding, head = result.model.embed_tokens.weight, result.lm_head.weight
    _round_in_place(embedding, formats.embedding)
    if head is not embedding:
        _round_in_place(head, formats.embedding)
    return result


def _round_in_place(weight: torch.Tensor, weight_format: WeightFormat) -> None:
    if weight_format.quantized:
        weight.copy_(quantize_rtn(weight, weight_format).dequantize())
