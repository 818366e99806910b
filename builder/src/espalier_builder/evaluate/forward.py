"""The PyTorch forward pass of one evaluation window."""

from __future__ import annotations

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.text.windows import Window


@torch.inference_mode()
def scored_logits(model: DecoderModel, window: Window) -> Tensor:
    """Logits `[R, V]` fp32 at the window's scored positions; the head runs on those rows only."""
    device = model.lm_head.weight.device
    states = model.model(input_ids=window.inputs[None].to(device), use_cache=False).last_hidden_state[0]
    logits: Tensor = model.lm_head(states[window.positions.to(device)]).float()
    return logits
