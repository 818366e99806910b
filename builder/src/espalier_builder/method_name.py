"""Methods by the short names that people type: `cfsp-rel+refit`, `flap+refit-one-pass`, `shortgpt`, `wanda+2:4`."""

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
_NOT_REFITTED: dict[str, str] = {
    "obs": "obs refits always, while it chooses",
    **dict.fromkeys(DEPTH_METHODS, "where whole layers go, no layer that stays has lost an input"),
    **dict.fromkeys(MASK_METHODS, "a mask removes no input"),
}
NAMES: tuple[str, ...] = (
    *(name + suffix for name in WIDTH_METHODS for suffix in _REFITS),
    "obs",
    *DEPTH_METHODS,
    *(name + suffix for name in MASK_METHODS for suffix in ("", *PATTERNS)),
)


def parse_method(name: str, sparsity: float, alignment: int) -> Pruning:
    """The pruning that `name` stands for.

    Raises BuilderError `METHOD_UNKNOWN`, `METHOD_REFITS_NOT` where the method leaves nothing to refit.
    """
    base, plus, option = name.partition("+")
    if plus + option in (REFIT, REFIT_ONE_PASS) and base in _NOT_REFITTED:
        raise BuilderError("METHOD_REFITS_NOT", f"{name!r}: {_NOT_REFITTED[base]}", f"use {base}")
    if name not in NAMES:
        raise BuilderError("METHOD_UNKNOWN", f"{name!r} is no pruning method", f"use {', '.join(NAMES)}")
    method = cast(PruningMethod, base)
    if method in MASK_METHODS:
        return Pruning(method, sparsity, pattern=cast(MaskPattern, option or "free"))
    return Pruning(method, sparsity, alignment, _REFITS[plus + option])
