"""How groups of weights are stored: the `WeightFormat` contract, and which formats a recipe's quantization asks for."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

from espalier_builder.contracts import MixedBits, Quantization


class LinearFormats(Protocol):
    """Formats of the layers' matrices: one for all of them (`WeightFormat`) or two (`MixedFormats`)."""

    @property
    def main(self) -> WeightFormat:
        """What a shape calls `linearFormat`: all matrices have it but those that it lists."""
        ...

    def of(self, name: str) -> WeightFormat:
        """Of a matrix by its name in the exported file, e.g. `layers.0.attention.qkv`."""
        ...

    def at_level(self, accuracy_level: int) -> LinearFormats: ...


@dataclass(frozen=True, slots=True)
class WeightFormat:
    """Bits per weight and the block of consecutive input columns that share a scale; 32 bits is plain fp32, block 0."""

    bits: int
    block_size: int
    symmetric: bool
    accuracy_level: int

    @property
    def main(self) -> WeightFormat:
        return self

    def of(self, _name: str) -> WeightFormat:
        return self

    def at_level(self, accuracy_level: int) -> WeightFormat:
        return replace(self, accuracy_level=accuracy_level)

    @property
    def quantized(self) -> bool:
        return self.bits != 32

    @property
    def key(self) -> str:
        """`q4b32a`-like name; the same as `formatKey` in shared/src/contracts/shape.ts."""
        if not self.quantized:
            return "fp32"
        grid = f"q{self.bits}b{self.block_size}{'' if self.symmetric else 'a'}"
        return grid if self.accuracy_level == 4 else f"{grid}-l0"

    def blocks(self, columns: int) -> int:
        """Blocks of a row of `columns` weights; the last one is padded."""
        return -(-columns // self.block_size)

    def row_bytes(self, columns: int) -> int:
        """Bytes that one row of `columns` weights takes with its scales and zero points."""
        if not self.quantized:
            return 4 * columns
        blocks = self.blocks(columns)
        zero_points = 0 if self.symmetric else -(-blocks * self.bits // 8)
        return blocks * (self.block_size * self.bits // 8 + 4) + zero_points

    def to_json(self) -> dict[str, Any]:
        return {
            "bits": self.bits,
            "blockSize": self.block_size,
            "symmetric": self.symmetric,
            "accuracyLevel": self.accuracy_level,
        }

    @staticmethod
    def from_json(value: dict[str, Any]) -> WeightFormat:
        return WeightFormat(value["bits"], value["blockSize"], value["symmetric"], value["accuracyLevel"])


FP32 = WeightFormat(bits=32, block_size=0, symmetric=True, accuracy_level=0)


@dataclass(frozen=True, slots=True)
class MixedFormats:
    """`main` everywhere but in the matrices that `widened` names."""

    main: WeightFormat
    wide: WeightFormat
    widened: frozenset[str]

    def of(self, name: str) -> WeightFormat:
        return self.wide if name in self.widened else self.main

    def at_level(self, accuracy_level: int) -> MixedFormats:
        return MixedFormats(self.main.at_level(accuracy_level), self.wide.at_level(accuracy_level), self.widened)


@dataclass(frozen=True, slots=True)
class VariantFormats:
    """Formats of the two groups of matrices: the linears of the layers, and embedding with head."""

    linear: LinearFormats
    embedding: WeightFormat


# Share of extra bytes that blocks of 128 may cost (padding of a hidden size that is no multiple) before 32 is taken.
_PADDING_TOLERANCE = 0.05


def embedding_format(linear: WeightFormat, hidden_size: int) -> WeightFormat:
    """Embedding and head beside quantized linears: 8 bits, symmetric, at the linears' accuracy level.

    Blocks of 128 run SmolLM2's head 1.6x as fast as 32 (one thread); at 8 bits both are lossless in practice.
    """
    if not linear.quantized:
        return FP32
    small, large = (WeightFormat(8, block, True, linear.accuracy_level) for block in (32, 128))
    affordable = large.row_bytes(hidden_size) <= (1 + _PADDING_TOLERANCE) * small.row_bytes(hidden_size)
    return large if affordable else small


def variant_formats(linear: LinearFormats, hidden_size: int) -> VariantFormats:
    return VariantFormats(linear=linear, embedding=embedding_format(linear.main, hidden_size))


def linear_format(quantization: Quantization) -> WeightFormat:
    """The format that a recipe asks of the linears; of mixed ones the narrow one."""
    if quantization.method == "none":
        return FP32
    return WeightFormat(
        bits=4 if isinstance(quantization.bits, MixedBits) else quantization.bits,
        block_size=quantization.block_size,
        symmetric=quantization.symmetric,
        accuracy_level=quantization.accuracy_level,
    )


def wide_format(narrow: WeightFormat) -> WeightFormat:
    """8 bits beside a format of 4: symmetric, since zero points gain nothing there."""
    return replace(narrow, bits=8, symmetric=True)
