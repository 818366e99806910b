"""The PyTorch forward pass of one evaluation window."""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.quantize.kv_cache import KvScales
from espalier_builder.text.windows import Window


@torch.inference_mode()
def scored_logits(model: DecoderModel, window: Window, kv_scales: KvScales | None = None) -> Tensor:
    """Logits `[R, V]` fp32 at the window's scored positions; the head runs on those rows only.

    With `kv_scales` attention reads keys and values as a cache of int8 holds them.
    """
    device = model.lm_head.weight.device
    cache = None if kv_scales is None else kv_scales.cache()
    inputs = window.inputs[None].to(device)
    states = model.model(input_ids=inputs, past_key_values=cache, use_cache=cache is not None).last_hidden_state[0]
    logits: Tensor = model.lm_head(states[window.positions.to(device)]).float()
    return logits
