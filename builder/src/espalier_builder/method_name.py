"""Methods by the short names that people type: `flap`, `cfsp-rel+refit`, `wanda+2:4`."""

from __future__ import annotations

from typing import cast, get_args

from espalier_builder.contracts import (
    DEPTH_METHODS,
    MASK_METHODS,
    MaskPattern,
    Pruning,
    PruningMethod,
    Refitting,
    WidthMethod,
)
from espalier_builder.failure import BuilderError

REFIT, REFIT_ONE_PASS = "+refit", "+refit-one-pass"
_REFITS: dict[str, Refitting] = {"": False, REFIT: True, REFIT_ONE_PASS: "one-pass"}
WIDTH_METHODS: tuple[PruningMethod, ...] = get_args(WidthMethod)
PATTERNS = ("+2:4", "+4:8")
NAMES: tuple[str, ...] = (
    *(name + suffix for name in WIDTH_METHODS for suffix in _REFITS),
    "obs",
    *(name + suffix for name in DEPTH_METHODS for suffix in ("", REFIT)),
    *(name + suffix for name in MASK_METHODS for suffix in ("", *PATTERNS)),
)


def parse_method(name: str, sparsity: float, alignment: int) -> Pruning:
    """The pruning that `name` stands for.

    Raises BuilderError `METHOD_UNKNOWN`, `METHOD_REFITS_NOT` where the method leaves nothing to refit.
    """
    base, plus, option = name.partition("+")
    suffix = plus + option
    if suffix in (REFIT, REFIT_ONE_PASS) and (reason := _no_refit(base, suffix)) is not None:
        raise BuilderError("METHOD_REFITS_NOT", f"{name!r}: {reason}", f"use {base}")
    if name not in NAMES:
        bases = ", ".join(name for name in NAMES if "+" not in name)
        remedy = f"use {bases}; {REFIT} or {REFIT_ONE_PASS} may follow where neurons go, {' or '.join(PATTERNS)} a mask"
        raise BuilderError("METHOD_UNKNOWN", f"{name!r} is no pruning method", remedy)
    method = cast(PruningMethod, base)
    if method in MASK_METHODS:
        return Pruning(method, sparsity, pattern=cast(MaskPattern, option or "free"))
    return Pruning(method, sparsity, alignment, _REFITS[suffix])


def _no_refit(method: str, refit: str) -> str | None:
    """Why `method` can't be refitted so; None where it can, or is no method."""
    if method == "obs":
        return "obs refits always, while it chooses"
    if method in MASK_METHODS:
        return "a mask removes no input"
    if method in DEPTH_METHODS and refit == REFIT_ONE_PASS:
        return "seen by itself, no layer that stays has lost anything"
    return None
