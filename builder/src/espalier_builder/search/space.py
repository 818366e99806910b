"""The recipes that a search may ask about, as points of an optimiser's space and as neighbours of one another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeVar, cast

from espalier_builder.contracts import KvCacheFormat, MixedBits, Quantization, QuantizationMethod, Recipe
from espalier_builder.method_name import parse_method

DENSE = "dense"
LEAST_SPARSITY, STEP = 0.05, 0.025
BLOCKS: tuple[Literal[32, 64, 128, 256], ...] = (32, 64, 128, 256)
SWEPT_SPARSITIES = (0.1, 0.2, 0.3, 0.4, 0.5)
# Who chooses the codes, and bits, from the fewest bytes to the most; between 4 and 8 an average over matrices.
GRIDS: dict[str, tuple[QuantizationMethod, Literal[4, 8] | MixedBits]] = {
    "rtn4": ("rtn", 4),
    "gptq4": ("gptq", 4),
    "gptq5": ("gptq", MixedBits(5)),
    "gptq6": ("gptq", MixedBits(6)),
    "gptq7": ("gptq", MixedBits(7)),
    "rtn8": ("rtn", 8),
}
Params = dict[str, str | float | int]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Space:
    """`methods` by the names that `compare` takes; sparsity goes from 5 % to `most_sparsity` in steps of 2.5 %.

    `kv_cache`: every recipe has such a cache. It is asked for and not searched, since weights weigh the same with it.
    """

    methods: tuple[str, ...]
    most_sparsity: float
    alignment: int
    kv_cache: KvCacheFormat | None = None

    def choices(self) -> dict[str, tuple[str, ...] | tuple[int, ...]]:
        """Every dimension but sparsity, with its values."""
        return {
            "method": (DENSE, *self.methods),
            "grid": tuple(GRIDS),
            "block": BLOCKS,
            "zeros": ("symmetric", "asymmetric"),
        }

    def recipe(self, params: Mapping[str, str | float | int]) -> Recipe:
        """Raises BuilderError `METHOD_UNKNOWN`."""
        method = str(params["method"])
        quantizer, bits = GRIDS[str(params["grid"])]
        quantization = Quantization(
            method=quantizer,
            bits=bits,
            block_size=cast(Literal[32, 64, 128, 256], params["block"]),
            symmetric=params["zeros"] == "symmetric",
        )
        if method == DENSE:
            return Recipe(quantization=quantization, kv_cache=self.kv_cache)
        pruning = parse_method(method, round(float(params["sparsity"]), 4), self.alignment)
        return Recipe(pruning, quantization, self.kv_cache)

    def sweep(self) -> list[Params]:
        """Where every search begins: the dense model and each method at each fifth of the way, at 8 bits and at 4.

        Mixed bits once, of the dense model: each pruned model costs a measurement of its matrices first.
        """
        eight: Params = {"grid": "rtn8", "block": 128, "zeros": "symmetric"}
        mixed: Params = {"grid": "gptq6", "block": 128, "zeros": "asymmetric"}
        four: Params = {**mixed, "grid": "gptq4"}
        shares = [share for share in SWEPT_SPARSITIES if share <= self.most_sparsity]
        dense: Params = {"method": DENSE, "sparsity": LEAST_SPARSITY}
        prunings: list[Params] = [{"method": method, "sparsity": share} for share in shares for method in self.methods]
        swept = [dense | each for each in (eight, mixed, four)]
        return swept + [pruning | each for pruning in prunings for each in (eight, four)]

    def neighbours(self, params: Params) -> list[Params]:
        """One step away in one dimension, the smallest steps first."""
        nearest = self._other_sparsities(params, (STEP, -STEP))
        nearest += [{**params, "grid": grid} for grid in _beside(tuple(GRIDS), str(params["grid"]))]
        nearest += [{**params, "block": block} for block in _beside(BLOCKS, int(params["block"]))]
        further = self._other_sparsities(params, (2 * STEP, -2 * STEP))
        for name in ("zeros", "method"):
            further += [{**params, name: value} for value in self.choices()[name] if value != params[name]]
        return nearest + further

    def _other_sparsities(self, params: Params, steps: tuple[float, ...]) -> list[Params]:
        if params["method"] == DENSE:
            return []
        shares = [round(float(params["sparsity"]) + step, 4) for step in steps]
        return [{**params, "sparsity": share} for share in shares if LEAST_SPARSITY <= share <= self.most_sparsity]


def _beside(values: tuple[Value, ...], value: Value) -> list[Value]:
    """The values after and before `value`, where there are any."""
    at = values.index(value)
    return [*values[at + 1 : at + 2], *values[max(0, at - 1) : at]]
