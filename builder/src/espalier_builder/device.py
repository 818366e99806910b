"""Where PyTorch computes."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import torch

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.failure import BuilderError

Device = Literal["auto", "cpu", "cuda"]


def choose_device(wanted: Device) -> Literal["cpu", "cuda"]:
    """`auto` takes a GPU where there is one. Raises BuilderError `NO_GPU` where one is demanded and missing."""
    if wanted == "cuda" and not torch.cuda.is_available():
        raise BuilderError("NO_GPU", "PyTorch finds no CUDA device", "use --device cpu, or install PyTorch for CUDA")
    if wanted == "cpu" or not torch.cuda.is_available():
        return "cpu"
    return "cuda"


def on_device(checkpoint: Checkpoint, device: str) -> Checkpoint:
    """The checkpoint with its model there; on the CPU it already is."""
    return checkpoint if device == "cpu" else replace(checkpoint, model=checkpoint.model.to(torch.device(device)))
