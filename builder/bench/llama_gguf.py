"""A LLaMA-family model as a GGUF file for llama.cpp, and what its types leave of the weights."""

from __future__ import annotations

import copy
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch
from gguf import GGMLQuantizationType, GGUFReader, GGUFValueType, GGUFWriter
from gguf.quants import dequantize, quantize
from numpy.typing import NDArray

from espalier_builder.checkpoint.family import DecoderModel

Array = NDArray[np.float32]

_F32 = GGMLQuantizationType.F32
# Embedding and head have 8 bits, as ours have beside 4-bit linears.
_EMBEDDING = GGMLQuantizationType.Q8_0
_FILE_TYPES = {GGMLQuantizationType.Q8_0: 7, GGMLQuantizationType.Q4_0: 2}
_FFN, _HEADS, _KV_HEADS = "feed_forward_length", "attention.head_count", "attention.head_count_kv"
_BLOCKS, _WIDTH = "block_count", "embedding_length"
_OWN_FIELDS = {"GGUF.version", "GGUF.tensor_count", "GGUF.kv_count", "general.architecture", "general.file_type"}


def write_gguf(model: DecoderModel, metadata: Path, linear: GGMLQuantizationType, path: Path) -> int:
    """Writes `model` with linears of type `linear`, norms in fp32, tokenizer and other metadata from a GGUF file.

    Layers may differ in width. Returns the bytes of all tensors.
    """
    head_size = model.model.layers[0].self_attn.head_dim
    layers = model.model.layers
    heads = [layer.self_attn.q_proj.out_features // head_size for layer in layers]
    kv_heads = [layer.self_attn.k_proj.out_features // head_size for layer in layers]
    widths = [layer.mlp.gate_proj.out_features for layer in layers]
    partial = path.with_suffix(".partial-gguf")
    # llama.cpp's `llama` has layers of one width; `deci` is the same decoder with widths of each layer's own.
    architecture = "llama" if len({*zip(widths, heads, kv_heads, strict=True)}) == 1 else "deci"
    writer = GGUFWriter(partial, architecture)
    _copy_metadata(GGUFReader(metadata), writer)
    writer.add_file_type(_FILE_TYPES[linear])
    for name, sizes in ((_FFN, widths), (_HEADS, heads), (_KV_HEADS, kv_heads)):
        if architecture == "llama":
            writer.add_uint32(f"{architecture}.{name}", sizes[0])
        else:
            writer.add_array(f"{architecture}.{name}", sizes)
    writer.add_uint32(f"{architecture}.{_BLOCKS}", len(layers))
    writer.add_uint32(f"{architecture}.{_WIDTH}", model.config.hidden_size)
    total = 0

    def add(name: str, weight: torch.Tensor | Array, kind: GGMLQuantizationType) -> None:
        nonlocal total
        values = np.ascontiguousarray(weight.detach().numpy() if isinstance(weight, torch.Tensor) else weight)
        data = values if kind == _F32 else quantize(values, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
        total += data.nbytes

    add("token_embd.weight", model.model.embed_tokens.weight, _EMBEDDING)
    add("output_norm.weight", model.model.norm.weight, _F32)
    for index, layer in enumerate(layers):
        block, attention, mlp = f"blk.{index}", layer.self_attn, layer.mlp
        add(f"{block}.attn_norm.weight", layer.input_layernorm.weight, _F32)
        add(f"{block}.attn_q.weight", _rotary_pairs(attention.q_proj.weight, heads[index]), linear)
        add(f"{block}.attn_k.weight", _rotary_pairs(attention.k_proj.weight, kv_heads[index]), linear)
        add(f"{block}.attn_v.weight", attention.v_proj.weight, linear)
        add(f"{block}.attn_output.weight", attention.o_proj.weight, linear)
        add(f"{block}.ffn_norm.weight", layer.post_attention_layernorm.weight, _F32)
        add(f"{block}.ffn_gate.weight", mlp.gate_proj.weight, linear)
        add(f"{block}.ffn_up.weight", mlp.up_proj.weight, linear)
        add(f"{block}.ffn_down.weight", mlp.down_proj.weight, linear)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    partial.rename(path)
    return total


@torch.no_grad()
def rounded(model: DecoderModel, linear: GGMLQuantizationType) -> DecoderModel:
    """A copy of `model` whose matrices are what `write_gguf` leaves of them, in fp32."""
    result = copy.deepcopy(model)
    modules = [module for layer in result.model.layers for module in layer.modules()]
    matrices = [(module.weight, linear) for module in modules if isinstance(module, torch.nn.Linear)]
    for weight, kind in [*matrices, (result.model.embed_tokens.weight, _EMBEDDING)]:
        weight.copy_(torch.from_numpy(dequantize(quantize(weight.numpy(), kind), kind)))
    return result


def _rotary_pairs(weight: torch.Tensor, heads: int) -> Array:
    """Rows `[heads * D, H]` that rotate together: a head's halves (transformers) become neighbours (llama.cpp)."""
    rows, columns = weight.shape
    halves = weight.detach().numpy().reshape(heads, 2, rows // heads // 2, columns)
    return np.asarray(halves.swapaxes(1, 2).reshape(rows, columns))


def _copy_metadata(reader: GGUFReader, writer: GGUFWriter) -> None:
    skipped = _OWN_FIELDS | {f"llama.{name}" for name in (_FFN, _HEADS, _KV_HEADS, _BLOCKS, _WIDTH)}
    for field in reader.fields.values():
        if field.name in skipped:
            continue
        kind = field.types[0]
        sub_type: Any = field.types[-1] if kind == GGUFValueType.ARRAY else None
        name = re.sub(r"^llama\.", f"{writer.arch}.", field.name)
        writer.add_key_value(name, field.contents(), kind, sub_type=sub_type)
