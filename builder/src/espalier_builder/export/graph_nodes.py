"""Builds the nodes of a graph one by one, and the external-data initializers that they turn out to need."""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper

from espalier_builder.export.weight_layout import WEIGHTS_FILE, PlacedTensor, WeightLayout
from espalier_builder.quantize.weight_format import WeightFormat

_ONNX_TYPES = {"float32": TensorProto.FLOAT, "uint8": TensorProto.UINT8}


class GraphNodes:
    """`nodes` in order of execution. Every method adds what it names and returns the name of its output."""

    def __init__(self, layout: WeightLayout) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self._layout = layout
        self._initializers: dict[str, onnx.TensorProto] = {}
        self._first_position: str | None = None

    def add(
        self, operator: str, inputs: list[str], *, outputs: list[str] | None = None, domain: str = "", **attributes: Any
    ) -> str:
        """A node of `operator`; its first output's name."""
        names = outputs or [f"{operator}_{len(self.nodes)}"]
        self.nodes.append(
            helper.make_node(operator, inputs, names, name=f"{names[0]}/{operator}", domain=domain, **attributes)
        )
        return names[0]

    def norm(self, name: str, value: str, epsilon: float, *, centred: bool = False) -> str:
        """Of `value`'s last axis, RMSNorm (Zhang and Sennrich, 2019), or, `centred`, LayerNorm with a bias."""
        operator = "LayerNormalization" if centred else "SimplifiedLayerNormalization"
        return self.add(operator, [value, *self._norm_weights(name, centred)], axis=-1, epsilon=epsilon)

    def skip_norm(
        self, name: str, value: str, residual: str, epsilon: float, *, centred: bool = False
    ) -> tuple[str, str]:
        """The norm of `value + residual`, and the sum itself: the next residual."""
        normed, total = f"{name}.normed", f"{name}.residual"
        self.add(
            "SkipLayerNormalization" if centred else "SkipSimplifiedLayerNormalization",
            [value, residual, *self._norm_weights(name, centred)],
            outputs=[normed, "", "", total],
            domain="com.microsoft",
            epsilon=epsilon,
        )
        return normed, total

    def head_norm(self, name: str, value: str, heads: int, size: int, epsilon: float) -> str:
        """RMSNorm of each head of `value [1, T, heads * size]`."""
        split = self.constant(f"{name}.heads", [1, -1, heads, size])
        normed = self.norm(name, self.add("Reshape", [value, split]), epsilon)
        return self.add("Reshape", [normed, self.constant(f"{name}.flat", [1, -1, heads * size])])

    def linear(
        self,
        name: str,
        value: str,
        rows: int,
        columns: int,
        weight_format: WeightFormat,
        *,
        bias: bool = False,
        output: str | None = None,
    ) -> str:
        """`value [1, T, columns]` times the transposed matrix `name [rows, columns]`, plus its bias if it has one."""
        product = f"{name}.product" if bias or output is None else output
        if weight_format.quantized:
            weights = [self._weight(f"{name}.{part}") for part in _parts(weight_format)]
            self.add(
                "MatMulNBits",
                [value, *weights],
                outputs=[product],
                domain="com.microsoft",
                K=columns,
                N=rows,
                bits=weight_format.bits,
                block_size=weight_format.block_size,
                accuracy_level=weight_format.accuracy_level,
            )
        else:
            weight = self._weight(f"{name}.weight")
            self.add("FusedMatMul", [value, weight], outputs=[product], domain="com.microsoft", transB=1)
        if not bias:
            return product
        return self.add("Add", [product, self._weight(f"{name}.bias")], outputs=None if output is None else [output])

    def embed(self, name: str, ids: str, rows: int, columns: int, weight_format: WeightFormat) -> str:
        """Rows `ids [1, T]` of the matrix `name [rows, columns]`: `[1, T, columns]`.

        A quantized matrix is read where the head's MatMulNBits reads it: both operators' layouts are the same bytes
        once a row's padding is counted as columns, which a Slice cuts off again.
        """
        if not weight_format.quantized:
            return self.add("Gather", [self._weight(f"{name}.weight"), ids], axis=0)
        padded = weight_format.blocks(columns) * weight_format.block_size
        data = self._alias(f"{name}.data", f"{name}.rows", (rows, padded))
        gathered = self.add(
            "GatherBlockQuantized",
            [data, ids, self._weight(f"{name}.scales")],
            domain="com.microsoft",
            bits=weight_format.bits,
            block_size=weight_format.block_size,
            gather_axis=0,
            quantize_axis=1,
        )
        if padded == columns:
            return gathered
        bounds = {"from": 0, "to": columns, "axis": 2}
        return self.add(
            "Slice", [gathered, *(self.constant(f"{name}.slice_{part}", [value]) for part, value in bounds.items())]
        )

    def rotary_inputs(self) -> list[str]:
        return [self._weight("rotary.cos"), self._weight("rotary.sin")]

    def learned_positions(self) -> str:
        """What the new tokens' positions add to their embeddings: `[T, H]`."""
        first = self.first_position()
        after = self.add("Add", [first, self.add("Shape", ["input_ids"], start=1, end=2)])
        return self.add("Slice", [self._weight("positions.weight"), first, after, self.constant("positions.axis", [0])])

    def first_position(self) -> str:
        """Position of the first new token, int64 `[1]`: tokens in the cache after the run less the new ones."""
        if self._first_position is None:
            new = self.add("Shape", ["input_ids"], start=1, end=2)
            total = self.add("Cast", ["total_sequence_length"], to=TensorProto.INT64)
            self._first_position = self.add("Sub", [total, new])
        return self._first_position

    def rounded(self, name: str, value: str, scales: list[float], highest: int) -> str:
        """`value [1, T, channels]` as the nearest of `highest` steps to either side stand for it, a scale a channel."""
        scale = self._numbers(f"{name}.rounding_scales", scales)
        bounds = [
            self._numbers(f"{name}.{side}_code", code) for side, code in (("lowest", -highest), ("highest", highest))
        ]
        codes = self.add("Clip", [self.add("Round", [self.add("Div", [value, scale])]), *bounds])
        return self.add("Mul", [codes, scale])

    def _numbers(self, name: str, values: list[float] | float) -> str:
        """A float vector, or one number, kept in the graph itself."""
        numbers, shape = (values, [len(values)]) if isinstance(values, list) else ([values], [])
        self._initializers[name] = helper.make_tensor(name, TensorProto.FLOAT, shape, numbers)
        return name

    def constant(self, name: str, values: list[int]) -> str:
        """An int64 vector, kept in the graph itself."""
        self._initializers[name] = helper.make_tensor(name, TensorProto.INT64, [len(values)], values)
        return name

    def initializers(self) -> list[onnx.TensorProto]:
        return list(self._initializers.values())

    def _norm_weights(self, name: str, centred: bool) -> list[str]:
        return [self._weight(name), self._weight(f"{name}.bias")] if centred else [self._weight(name)]

    def _weight(self, name: str) -> str:
        return self._alias(name, name, self._layout.by_name[name].shape)

    def _alias(self, tensor: str, name: str, shape: tuple[int, ...]) -> str:
        """An initializer `name` of `shape` over the bytes of the stored tensor `tensor`."""
        if name not in self._initializers:
            self._initializers[name] = _external(self._layout.by_name[tensor], name, shape)
        return name


def _parts(weight_format: WeightFormat) -> tuple[str, ...]:
    return ("data", "scales") if weight_format.symmetric else ("data", "scales", "zero_points")


def _external(tensor: PlacedTensor, name: str, shape: tuple[int, ...]) -> onnx.TensorProto:
    proto = onnx.TensorProto(
        name=name, data_type=_ONNX_TYPES[tensor.dtype], dims=shape, data_location=TensorProto.EXTERNAL
    )
    for key, value in (("location", WEIGHTS_FILE), ("offset", tensor.offset), ("length", tensor.size_bytes)):
        proto.external_data.add(key=key, value=str(value))
    return proto
