"""Rotary position tables (Su et al., RoFormer, 2021) as GroupQueryAttention reads them."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.failure import BuilderError

# Scalings whose frequencies don't depend on the length of the text, hence fit in one table.
STATIC_ROPE_TYPES = ("default", "linear", "llama3", "yarn")


def rotary_tables(model: DecoderModel, positions: int) -> tuple[Tensor, Tensor]:
    """Cosines and sines `[positions, headSize / 2]`, float32, scaled as the checkpoint's rope type says.

    Raises BuilderError `ROPE_UNSUPPORTED` for rope types that depend on the length of the text.
    """
    rotary: Any = model.model.rotary_emb
    if rotary.rope_type not in STATIC_ROPE_TYPES:
        raise BuilderError(
            "ROPE_UNSUPPORTED",
            f"the checkpoint's rope type is {rotary.rope_type!r}",
            f"the exporter knows {', '.join(STATIC_ROPE_TYPES)}; set rope_scaling in config.json to one of them",
        )
    # As transformers computes them: the product of position and frequency in float32. [P, D/2]
    angles = torch.arange(positions, dtype=torch.float32)[:, None] * rotary.inv_freq.float().cpu()[None, :]
    return angles.cos() * rotary.attention_scaling, angles.sin() * rotary.attention_scaling
