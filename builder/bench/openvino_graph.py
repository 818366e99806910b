"""A decoder of LLaMA's layers as an OpenVINO model, made of the weights of a graph that we exported.

Written with OpenVINO's own operators in the forms that its CPU plugin fuses: root mean square, rotation, attention with
a cache that is the model's state, products with compressed weights. T new tokens, S tokens in the cache after them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import onnx
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as ops

Array = NDArray[Any]
Bits = Literal[4, 8]
_GROUPS = (128, 64, 32)


@dataclass(frozen=True, slots=True)
class Sizes:
    layers: int
    heads: int
    kv_heads: int
    head_size: int
    epsilon: float


class ExportedWeights:
    """Tensors of `model.onnx` by name, and quantized matrices of them."""

    def __init__(self, folder: Path) -> None:
        self._model = onnx.load(folder / "model.onnx", load_external_data=False)
        self._data = np.memmap(folder / "model.onnx.data", np.uint8, "r")
        self._tensors = {tensor.name: tensor for tensor in self._model.graph.initializer}
        self._products = {
            node.input[1].removesuffix(".data"): {one.name: one.i for one in node.attribute}
            for node in self._model.graph.node
            if node.op_type == "MatMulNBits"
        }

    @property
    def sizes(self) -> Sizes:
        nodes = self._model.graph.node
        attention = [node for node in nodes if node.op_type == "GroupQueryAttention"]
        counts = {one.name: one.i for one in attention[0].attribute}
        norm = next(node for node in nodes if node.op_type == "SimplifiedLayerNormalization")
        epsilon = next(one.f for one in norm.attribute if one.name == "epsilon")
        head_size = 2 * self.tensor("rotary.cos").shape[1]
        return Sizes(len(attention), counts["num_heads"], counts["kv_num_heads"], head_size, epsilon)

    def tensor(self, name: str) -> Array:
        tensor = self._tensors[name]
        place = {entry.key: entry.value for entry in tensor.external_data}
        start, length = int(place["offset"]), int(place["length"])
        kind = onnx.helper.tensor_dtype_to_np_dtype(tensor.data_type)
        return np.asarray(self._data[start : start + length]).view(kind).reshape(list(tensor.dims))

    def matrix(self, name: str) -> tuple[Array, Array, Array, int, int]:
        """Codes `[rows, columns]`, scales and zero points `[rows, blocks]`, block size and bits."""
        sizes = self._products[name]
        columns, block, bits = sizes["K"], sizes["block_size"], sizes["bits"]
        data, scales = self.tensor(f"{name}.data"), self.tensor(f"{name}.scales")
        rows, blocks = scales.shape
        codes = _unpacked(data.reshape(rows, -1), bits)[:, :columns]
        if f"{name}.zero_points" in self._tensors:
            zeros = _unpacked(self.tensor(f"{name}.zero_points"), bits)[:, :blocks]
        else:
            zeros = np.full((rows, blocks), 1 << (bits - 1), np.uint8)
        return codes, scales, zeros, block, bits


def _unpacked(data: Array, bits: int) -> Array:
    if bits == 8:
        return data
    return np.stack([data & 15, data >> 4], -1).reshape(len(data), -1)


def _packed(codes: Array) -> Array:
    pairs = codes.reshape(-1, 2)
    return pairs[:, 0] | pairs[:, 1] << 4


def _constant(values: Array, shape: list[int], bits: int) -> Any:
    if bits == 8:
        return ops.constant(np.ascontiguousarray(values.reshape(shape)))
    return ops.constant(ov.Tensor(_packed(values), ov.Shape(shape), ov.Type.u4), shared_memory=False)


def _values(codes: Array, zeros: Array, scales: Array, shape: list[int], per: list[int], bits: int) -> Any:
    """(codes - zeros) * scales, as the plugin recognises compressed weights."""
    half = ov.Type.f16
    centred = ops.subtract(
        ops.convert(_constant(codes, shape, bits), half), ops.convert(_constant(zeros, per, bits), half)
    )
    return ops.multiply(centred, ops.constant(np.ascontiguousarray(scales.reshape(per)), ov.Type.f16))


def compressed(weights: ExportedWeights, name: str, bits: Bits) -> Any:
    """The matrix `[rows, columns]`: our 4-bit blocks as they are, or one 8-bit grid a row, as OpenVINO compresses."""
    codes, scales, zeros, block, stored = weights.matrix(name)
    rows, columns = codes.shape
    if bits == 4 and stored == 4:
        # Groups divide the columns: halves of our blocks where they don't, with the block's scale.
        group = next(size for size in _GROUPS if columns % size == 0 and size <= block)
        owner = np.arange(columns // group) * group // block
        shape, per = [rows, columns // group, group], [rows, columns // group, 1]
        grouped = _values(codes, zeros[:, owner], scales[:, owner], shape, per, 4)
        value = ops.reshape(grouped, ops.constant(np.array([rows, columns])), False)
    else:
        owner = np.arange(columns) // block
        dense = (codes.astype(np.float32) - zeros[:, owner]) * scales[:, owner]
        low, high = np.minimum(dense.min(1), 0), np.maximum(dense.max(1), 0)
        step = np.maximum((high - low) / 255, 1e-9)
        zero = np.round(-low / step)
        rounded = np.clip(np.round(dense / step[:, None]) + zero[:, None], 0, 255).astype(np.uint8)
        value = _values(rounded, zero.astype(np.uint8), step, [rows, columns], [rows, 1], 8)
    return ops.convert(value, ov.Type.f32)


def build(weights: ExportedWeights, bits: Bits, *, every_token: bool = False) -> ov.Model:
    """Inputs `input_ids`, `position_ids` `[1, T]` and `beam_idx` `[1]`; output `logits` of the last token `[1, 1, V]`,
    or of every one."""
    sizes = weights.sizes
    ids, positions = (ops.parameter([-1, -1], ov.Type.i64, name) for name in ("input_ids", "position_ids"))
    beam = ops.parameter([-1], ov.Type.i32, "beam_idx")
    for node, name in ((ids, "input_ids"), (positions, "position_ids"), (beam, "beam_idx")):
        node.output(0).set_names({name})
    table = compressed(weights, "embedding", 8)
    axis = ops.constant(np.array(0))
    state = ops.gather(table, ids, axis)
    angles = [
        ops.unsqueeze(ops.gather(ops.constant(np.concatenate([half, half], 1)), positions, axis), ops.constant([1]))
        for half in (weights.tensor("rotary.cos"), weights.tensor("rotary.sin"))
    ]
    # A batch of any size, which is 1: the plugin doesn't recognise the cache of a fixed one.
    batch = ops.gather(ops.shape_of(ids), ops.constant([0]), axis)
    nothing = ops.constant(np.array([sizes.kv_heads, 0, sizes.head_size]))
    sinks: list[Any] = []
    mask: Any = None
    for index in range(sizes.layers):
        prefix = f"layers.{index}"
        normed = _norm(state, weights.tensor(f"{prefix}.attention.norm"), sizes.epsilon)
        packed = _product(normed, compressed(weights, f"{prefix}.attention.qkv", bits))
        counts = [sizes.heads, sizes.kv_heads, sizes.kv_heads]
        lengths = ops.constant(np.array([count * sizes.head_size for count in counts]))
        parts = ops.variadic_split(packed, ops.constant(np.array(-1)), lengths).outputs()
        query, key, value = (_heads(part, count, sizes.head_size) for part, count in zip(parts, counts, strict=True))
        query, key = _rotated(query, *angles, sizes.head_size), _rotated(key, *angles, sizes.head_size)
        cached = []
        for part, new in (("key", key), ("value", value)):
            empty = ops.broadcast(ops.constant(np.float32(0)), ops.concat([batch, nothing], 0))
            variable = f"past_key_values.{index}.{part}"
            shape = ov.PartialShape([-1, sizes.kv_heads, -1, sizes.head_size])
            past = ops.gather(ops.read_value(empty, variable, ov.Type.f32, shape), beam, axis)
            grown = ops.concat([past, new], 2)
            sinks.append(ops.assign(grown, variable))
            cached.append(grown)
        if mask is None:
            mask = _mask(cached[0], positions)
        spread = [_repeated(one, sizes) for one in cached]
        attended = ops.scaled_dot_product_attention(query, *spread, mask, causal=False)
        flat = ops.reshape(
            ops.transpose(attended, ops.constant([0, 2, 1, 3])), ops.constant(np.array([0, 0, -1])), True
        )
        state = ops.add(state, _product(flat, compressed(weights, f"{prefix}.attention.output", bits)))
        normed = _norm(state, weights.tensor(f"{prefix}.ffn.norm"), sizes.epsilon)
        both = _product(normed, compressed(weights, f"{prefix}.ffn.gate_up", bits))
        gate, up = ops.split(both, ops.constant(np.array(-1)), 2).outputs()
        product = ops.multiply(ops.swish(gate), up)
        state = ops.add(state, _product(product, compressed(weights, f"{prefix}.ffn.down", bits)))
    normed = _norm(state, weights.tensor("norm"), sizes.epsilon)
    wanted = normed if every_token else ops.gather(normed, ops.constant([-1]), ops.constant(np.array(1)))
    logits = _product(wanted, table)
    logits.output(0).set_names({"logits"})
    return ov.Model([ops.result(logits)], sinks, [ids, positions, beam], "decoder")


def _product(value: Any, matrix: Any) -> Any:
    return ops.matmul(value, matrix, False, True)


def _norm(value: Any, weight: Array, epsilon: float) -> Any:
    square = ops.power(value, ops.constant(np.float32(2)))
    mean = ops.reduce_mean(square, ops.constant([-1]), True)
    root = ops.sqrt(ops.add(mean, ops.constant(np.float32(epsilon))))
    scaled = ops.multiply(value, ops.divide(ops.constant(np.float32(1)), root))
    return ops.multiply(scaled, ops.constant(np.ascontiguousarray(weight)))


def _heads(value: Any, count: int, size: int) -> Any:
    """`[1, T, count * size]` as `[1, count, T, size]`."""
    split = ops.reshape(value, ops.constant(np.array([0, 0, count, size])), True)
    return ops.transpose(split, ops.constant([0, 2, 1, 3]))


def _rotated(value: Any, cosines: Any, sines: Any, size: int) -> Any:
    halves = ops.variadic_split(value, ops.constant(np.array(3)), ops.constant([size // 2, size // 2])).outputs()
    turned = ops.concat([ops.multiply(halves[1], ops.constant(np.float32(-1))), halves[0]], -1)
    return ops.add(ops.multiply(value, cosines), ops.multiply(turned, sines))


def _repeated(cached: Any, sizes: Sizes) -> Any:
    """`[1, kvHeads, S, D]`, each head as often as queries share it."""
    group = sizes.heads // sizes.kv_heads
    if group == 1:
        return cached
    apart = ops.reshape(cached, ops.constant(np.array([0, sizes.kv_heads, 1, -1, sizes.head_size])), True)
    # A product with ones is how the plugin knows repeated heads.
    wide = ops.multiply(apart, ops.constant(np.ones((1, 1, group, 1, 1), np.float32)))
    return ops.reshape(wide, ops.constant(np.array([0, sizes.heads, -1, sizes.head_size])), True)


def _mask(keys: Any, positions: Any) -> Any:
    """`[1, 1, T, S]`: 0 where a token sees a position, else far below every score."""
    length = ops.gather(ops.shape_of(keys), ops.constant(np.array(2)), ops.constant(np.array(0)))
    all_positions = ops.range(ops.constant(np.array(0)), length, ops.constant(np.array(1)), "i64")
    sees = ops.less_equal(all_positions, ops.unsqueeze(positions, ops.constant([-1])))
    low = ops.constant(np.float32(np.finfo(np.float32).min))
    return ops.unsqueeze(ops.select(sees, ops.constant(np.float32(0)), low), ops.constant([1]))


class OpenVinoDecoder:
    """A model of `build`, compiled for the CPU as OpenVINO would by itself, for one request at a time."""

    def __init__(self, model: ov.Model | Path, threads: int) -> None:
        options = {"PERFORMANCE_HINT": "LATENCY", "NUM_STREAMS": 1, "INFERENCE_NUM_THREADS": threads}
        self._request = ov.Core().compile_model(model, "CPU", options).create_infer_request()

    def forget(self) -> None:
        self._request.reset_state()

    def logits(self, tokens: list[int], past: int) -> Array:
        """Of tokens that follow `past` others: `[R, V]`, valid until the next call."""
        positions = np.arange(past, past + len(tokens), dtype=np.int64)[None]
        inputs = {
            "input_ids": np.array([tokens], np.int64),
            "position_ids": positions,
            "beam_idx": np.zeros(1, np.int32),
        }
        self._request.infer(inputs)
        return np.asarray(self._request.get_tensor("logits").data[0])
