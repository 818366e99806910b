"""Tensors of a test are tiny: more threads only wait for each other, on a busy machine for most of the time."""

from __future__ import annotations

import torch

torch.set_num_threads(1)
