"""Methods by the short names that people type: `cfsp-rel+refit`, `shortgpt`, `wanda+2:4`."""

from __future__ import annotations

from typing import cast, get_args

from espalier_builder.contracts import (
    DEPTH_METHODS,
    MASK_METHODS,
    MaskPattern,
    Pruning,
    PruningMethod,
    WidthMethod,
)
from espalier_builder.failure import BuilderError

REFIT = "+refit"
WIDTH_METHODS: tuple[PruningMethod, ...] = get_args(WidthMethod)
PATTERNS = ("+2:4", "+4:8")
NAMES: tuple[str, ...] = (
    *(name + suffix for name in WIDTH_METHODS for suffix in ("", REFIT)),
    "obs",
    *DEPTH_METHODS,
    *(name + suffix for name in MASK_METHODS for suffix in ("", *PATTERNS)),
)


def parse_method(name: str, sparsity: float, alignment: int) -> Pruning:
    """The pruning that `name` stands for. Raises BuilderError `METHOD_UNKNOWN`."""
    if name not in NAMES:
        raise BuilderError("METHOD_UNKNOWN", f"{name!r} is no pruning method", f"use {', '.join(NAMES)}")
    base, _, option = name.partition("+")
    if base in MASK_METHODS:
        return Pruning(base, sparsity, pattern=cast(MaskPattern, option or "free"))
    method = cast(PruningMethod, name.removesuffix(REFIT))
    return Pruning(method, sparsity, alignment, name.endswith(REFIT))
