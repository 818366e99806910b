"""The decoder as an ONNX graph, version 1 of ARCHITECTURE.md: contrib operators of ONNX Runtime, weights outside.

T new tokens, R rows of logits, H hidden size, D head size, V vocabulary, C capacity of the KV cache.
"""

from __future__ import annotations

from typing import Any

import onnx
from onnx import TensorProto, helper

from espalier_builder.export.decoder_spec import DecoderSpec, LayerSpec
from espalier_builder.export.graph_nodes import GraphNodes
from espalier_builder.export.weight_layout import WeightLayout
from espalier_builder.quantize.kv_cache import HIGHEST_CODE, KvScales
from espalier_builder.quantize.weight_format import VariantFormats

GRAPH_FILE = "model.onnx"
GRAPH_VERSION = 1
OPSET = 21
_IR_VERSION = 10
# GroupQueryAttention of ONNX Runtime 1.30 on CPUs rotates heads of such sizes only.
_ROTARY_INSIDE_MULTIPLE = 16


def build_graph(
    spec: DecoderSpec, formats: VariantFormats, layout: WeightLayout, kv_scales: KvScales | None = None
) -> onnx.ModelProto:
    """The graph of a decoder of these sizes; weights are references into the external data that `layout` describes.

    With `kv_scales` keys and values are rounded before they are cached: what a device computes that caches them as
    int8, for ONNX Runtime, whose attention on CPUs caches floats. Artifacts hold the graph without.
    """
    nodes = GraphNodes(layout)
    embedded = nodes.embed("embedding", "input_ids", spec.vocabulary_size, spec.hidden_size, formats.embedding)
    centred = spec.norm == "layer"
    if spec.positions == "learned":
        embedded = nodes.add("Add", [embedded, nodes.learned_positions()])
    normed = nodes.norm("layers.0.attention.norm", embedded, spec.norm_epsilon, centred=centred)
    residual = embedded
    for index, layer in enumerate(spec.layers):
        prefix = f"layers.{index}"
        attended = _attention(nodes, spec, layer, index, normed, formats, kv_scales)
        normed, residual = nodes.skip_norm(f"{prefix}.ffn.norm", attended, residual, spec.norm_epsilon, centred=centred)
        fed = _ffn(nodes, spec, layer, f"{prefix}.ffn", normed, formats)
        following = "norm" if index + 1 == len(spec.layers) else f"layers.{index + 1}.attention.norm"
        normed, residual = nodes.skip_norm(following, fed, residual, spec.norm_epsilon, centred=centred)
    # [1, T, H] -> [1, R, H]: the head runs on the wanted rows only.
    wanted = nodes.add("Gather", [normed, "logits_positions"], axis=1)
    head = "embedding" if spec.tied else "head"
    nodes.linear(head, wanted, spec.vocabulary_size, spec.hidden_size, formats.embedding, output="logits")
    graph = helper.make_graph(nodes.nodes, "decoder", _inputs(spec), _outputs(spec), initializer=nodes.initializers())
    return helper.make_model(
        graph,
        opset_imports=[helper.make_opsetid("", OPSET), helper.make_opsetid("com.microsoft", 1)],
        ir_version=_IR_VERSION,
        producer_name="espalier-builder",
    )


def graph_contract(spec: DecoderSpec) -> dict[str, Any]:
    """The `GraphContract`: how the graph is called."""
    return {
        "file": GRAPH_FILE,
        "version": GRAPH_VERSION,
        "opset": OPSET,
        "kvDtype": "float32",
        "contextLength": spec.context_length,
        "layers": [{"kvHeads": layer.kv_heads, "headSize": spec.head_size} for layer in spec.layers],
        "vocabularySize": spec.vocabulary_size,
    }


def _attention(
    nodes: GraphNodes,
    spec: DecoderSpec,
    layer: LayerSpec,
    index: int,
    normed: str,
    formats: VariantFormats,
    kv_scales: KvScales | None,
) -> str:
    prefix = f"layers.{index}.attention"
    query = layer.heads * spec.head_size
    packed = (layer.heads + 2 * layer.kv_heads) * spec.head_size
    qkv = _linear(nodes, f"{prefix}.qkv", normed, packed, spec.hidden_size, formats, bias=layer.qkv_bias)
    attended = f"{prefix}.attended"
    rotates = spec.positions == "rotary"
    inside = rotates and spec.head_size % _ROTARY_INSIDE_MULTIPLE == 0 and kv_scales is None
    outside = rotates and not inside
    # Queries, keys and values stay one tensor where nothing is left to do to them before the attention.
    unpack = outside or spec.head_norms or kv_scales is not None
    inputs = _unpacked(nodes, spec, layer, prefix, qkv, rotate=outside) if unpack else [qkv, "", ""]
    if kv_scales is not None:
        both = (("key", kv_scales.keys[index]), ("value", kv_scales.values[index]))
        inputs[1:] = [
            nodes.rounded(f"{prefix}.{part}", value, scales.flatten().tolist(), HIGHEST_CODE)
            for value, (part, scales) in zip(inputs[1:], both, strict=True)
        ]
    cache = [f"past_key_values.{index}.key", f"past_key_values.{index}.value"]
    nodes.add(
        "GroupQueryAttention",
        [*inputs, *cache, "seqlens_k", "total_sequence_length", *(nodes.rotary_inputs() if inside else [])],
        outputs=[attended, f"present.{index}.key", f"present.{index}.value"],
        domain="com.microsoft",
        num_heads=layer.heads,
        kv_num_heads=layer.kv_heads,
        do_rotary=int(inside),
        rotary_interleaved=0,
    )
    return _linear(nodes, f"{prefix}.output", attended, spec.hidden_size, query, formats, bias=layer.output_bias)


def _unpacked(
    nodes: GraphNodes, spec: DecoderSpec, layer: LayerSpec, prefix: str, qkv: str, *, rotate: bool
) -> list[str]:
    """Query, key and value `[1, T, heads * D]`, two of them normalised by head where the model does, and rotated where
    the attention refuses the head size."""
    parts = [f"{prefix}.{part}" for part in ("query", "key", "value")]
    heads = (layer.heads, layer.kv_heads, layer.kv_heads)
    sizes = nodes.constant(f"{prefix}.split", [count * spec.head_size for count in heads])
    nodes.add("Split", [qkv, sizes], outputs=parts, axis=-1)
    query, key, value = parts
    turned = [query, key]
    if spec.head_norms:
        turned = [
            nodes.head_norm(f"{part}_norm", part, count, spec.head_size, spec.norm_epsilon)
            for part, count in zip(turned, heads[:2], strict=True)
        ]
    if rotate:
        turned = [
            nodes.add("RotaryEmbedding", [part, nodes.first_position(), *nodes.rotary_inputs()], domain="com.microsoft")
            for part in turned
        ]
    return [*turned, value]


def _ffn(
    nodes: GraphNodes, spec: DecoderSpec, layer: LayerSpec, prefix: str, normed: str, formats: VariantFormats
) -> str:
    packed = _linear(
        nodes, f"{prefix}.gate_up", normed, layer.ffn_rows, spec.hidden_size, formats, bias=layer.gate_up_bias
    )
    product = _gated(nodes, prefix, packed) if layer.gated else nodes.add("Relu", [packed])
    return _linear(nodes, f"{prefix}.down", product, spec.hidden_size, layer.ffn_size, formats, bias=layer.down_bias)


def _linear(
    nodes: GraphNodes, name: str, value: str, rows: int, columns: int, formats: VariantFormats, *, bias: bool
) -> str:
    """A matrix of a layer, in its own format."""
    return nodes.linear(name, value, rows, columns, formats.linear.of(name), bias=bias)


def _gated(nodes: GraphNodes, prefix: str, packed: str) -> str:
    """`silu(gate) * up` `[1, T, F]` of both side by side."""
    gate, up = f"{prefix}.gate", f"{prefix}.up"
    nodes.add("Split", [packed], outputs=[gate, up], axis=-1, num_outputs=2)
    activated = nodes.add("Mul", [gate, nodes.add("Sigmoid", [gate])])
    return nodes.add("Mul", [activated, up])


def _inputs(spec: DecoderSpec) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info("input_ids", TensorProto.INT64, [1, "T"]),
        helper.make_tensor_value_info("logits_positions", TensorProto.INT64, ["R"]),
        helper.make_tensor_value_info("seqlens_k", TensorProto.INT32, [1]),
        helper.make_tensor_value_info("total_sequence_length", TensorProto.INT32, []),
        *_cache_values(spec, "past_key_values", "C"),
    ]


def _outputs(spec: DecoderSpec) -> list[onnx.ValueInfoProto]:
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, [1, "R", spec.vocabulary_size])
    # Equal to C where the cache is written in place; grown by T where it isn't.
    return [logits, *_cache_values(spec, "present", "C_present")]


def _cache_values(spec: DecoderSpec, name: str, capacity: str) -> list[onnx.ValueInfoProto]:
    return [
        helper.make_tensor_value_info(
            f"{name}.{index}.{part}", TensorProto.FLOAT, [1, layer.kv_heads, capacity, spec.head_size]
        )
        for index, layer in enumerate(spec.layers)
        for part in ("key", "value")
    ]
