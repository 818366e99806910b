"""The recipes that a search may ask about, as points of an optimiser's space and as neighbours of one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, cast

from espalier_builder.contracts import Quantization, Recipe
from espalier_builder.method_name import parse_method

DENSE = "dense"
LEAST_SPARSITY, STEP = 0.05, 0.025
BLOCKS: tuple[Literal[32, 64, 128, 256], ...] = (32, 64, 128, 256)
SWEPT_SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5)
Params = dict[str, str | float | int]


@dataclass(frozen=True, slots=True)
class Space:
    """`methods` by the names that `compare` takes; sparsity goes from 5 % to `most_sparsity` in steps of 2.5 %."""

    methods: tuple[str, ...]
    most_sparsity: float
    alignment: int

    def choices(self) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
        """Every dimension but sparsity, with its values."""
        return {
            "method": (DENSE, *self.methods),
            "grid": ("rtn8", "rtn4", "gptq4"),
            "block": BLOCKS,
            "zeros": ("symmetric", "asymmetric"),
        }

    def recipe(self, params: Mapping[str, str | float | int]) -> Recipe:
        """Raises BuilderError `METHOD_UNKNOWN`."""
        method, grid = str(params["method"]), str(params["grid"])
        quantization = Quantization(
            method="gptq" if grid == "gptq4" else "rtn",
            bits=8 if grid == "rtn8" else 4,
            block_size=cast(Literal[32, 64, 128, 256], params["block"]),
            symmetric=params["zeros"] == "symmetric",
        )
        if method == DENSE:
            return Recipe(quantization=quantization)
        return Recipe(parse_method(method, round(float(params["sparsity"]), 4), self.alignment), quantization)

    def sweep(self) -> list[Params]:
        """Where every search begins: each method at each fifth of the way, at 8 bits and at 4."""
        formats: list[Params] = [
            {"grid": "rtn8", "block": 128, "zeros": "symmetric"},
            {"grid": "gptq4", "block": 128, "zeros": "asymmetric"},
        ]
        shares = [share for share in SWEPT_SPARSITIES if share <= self.most_sparsity]
        prunings: list[Params] = [{"method": DENSE, "sparsity": LEAST_SPARSITY}]
        prunings += [{"method": method, "sparsity": share} for share in shares for method in self.methods]
        return [pruning | each for pruning in prunings for each in formats]

    def neighbours(self, params: Params) -> list[Params]:
        """One step away in one dimension, the sparsity first."""
        near: list[Params] = []
        if params["method"] != DENSE:
            for step in (STEP, -STEP, 2 * STEP, -2 * STEP):
                share = round(float(params["sparsity"]) + step, 4)
                if LEAST_SPARSITY <= share <= self.most_sparsity:
                    near.append({**params, "sparsity": share})
        place = BLOCKS.index(cast(Literal[32, 64, 128, 256], params["block"]))
        near += [{**params, "block": BLOCKS[at]} for at in (place + 1, place - 1) if 0 <= at < len(BLOCKS)]
        for name in ("grid", "zeros", "method"):
            near += [{**params, name: value} for value in self.choices()[name] if value != params[name]]
        return near
