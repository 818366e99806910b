"""In what precision passes run whose results are not evaluated."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch

_FP32_ONLY: ContextVar[bool] = ContextVar("FP32_ONLY", default=False)


@contextmanager
def fp32_only() -> Iterator[None]:
    """Within it nothing calibrates in bfloat16."""
    token = _FP32_ONLY.set(True)
    try:
        yield
    finally:
        _FP32_ONLY.reset(token)


def in_fp32_only() -> bool:
    return _FP32_ONLY.get()


def calibrates_in_bf16(device: torch.device) -> bool:
    """Whether `device`, this CPU or a GPU, multiplies bfloat16 matrices in hardware, and may.

    Then calibration passes (never evaluation) run their linear layers in bfloat16 with fp32 residuals and statistics:
    1.2 instead of 2.7 CPU seconds for 1,024 tokens of SmolLM2. The rounding, 0.4 % of a product, is far under the
    sampling noise of a calibration set; figures beside published ones to the third digit want `fp32_only`.
    """
    if in_fp32_only():
        return False
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())


@contextmanager
def tf32_products() -> Iterator[None]:
    """Within it, GPUs that can multiply fp32 matrices in TF32: ten bits of mantissa, sums in fp32.

    For passes that gradients are taken of, in training and in LLM-Barber, which an H200 is three to four times as fast
    at (docs/measurements/layer-cost.md). CPUs have no such thing.
    """
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = True
    try:
        yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
