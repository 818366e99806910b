"""Making the smaller model: what is kept is cut out, nothing is zeroed."""

from __future__ import annotations

import torch
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.checkpoint.llama import WIDTHS, build_llama


@torch.inference_mode()
def keep_neurons(model: LlamaForCausalLM, kept: list[Tensor]) -> LlamaForCausalLM:
    """A model whose layer l has only the FFN neurons `kept[l]` (indices, ascending).

    Attention, norms, embedding and head share memory with `model`; FFN weights are copies.
    """
    tensors = dict(model.state_dict())
    for index, neurons in enumerate(kept):
        prefix = f"model.layers.{index}.mlp"
        for name in (f"{prefix}.gate_proj", f"{prefix}.up_proj"):
            for kind in ("weight", "bias"):
                if f"{name}.{kind}" in tensors:
                    tensors[f"{name}.{kind}"] = tensors[f"{name}.{kind}"][neurons]
        tensors[f"{prefix}.down_proj.weight"] = tensors[f"{prefix}.down_proj.weight"][:, neurons].contiguous()
    config = model.config.to_diff_dict() | {WIDTHS: [len(neurons) for neurons in kept]}
    return build_llama(config, tensors, "the pruned model")


@torch.inference_mode()
def keep_layers(model: LlamaForCausalLM, count: int) -> LlamaForCausalLM:
    """A model of the first `count` layers, sharing all memory with `model`."""
    tensors = {
        name: tensor
        for name, tensor in model.state_dict().items()
        if not name.startswith("model.layers.") or int(name.split(".")[2]) < count
    }
    widths = [layer.mlp.down_proj.in_features for layer in model.model.layers[:count]]
    config = model.config.to_diff_dict() | {"num_hidden_layers": count, WIDTHS: widths}
    return build_llama(config, tensors, "the pruned model")
