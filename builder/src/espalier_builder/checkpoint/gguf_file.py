"""GGUF files of the LLaMA family: de-quantized weights under a fresh configuration, and the tokenizer inside.

Tensor names, metadata keys and the interleaved order of query and key rows follow ggml's docs/gguf.md and llama.cpp's
convert_hf_to_gguf.py. Reading the tensors here and not through `from_pretrained` takes 1 s instead of 10 s for
SmolLM2-135M and needs no accelerate; the tokenizer comes through transformers.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

import gguf
import torch
from torch import Tensor
from transformers import AutoTokenizer, PreTrainedTokenizerBase

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import build_decoder
from espalier_builder.checkpoint.folder import require_rows
from espalier_builder.failure import BuilderError

LAYER_PARTS = {
    "attn_norm": "input_layernorm",
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
MODEL_PARTS = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
FULL_PRECISION = {"F32", "F16", "BF16", "F64"}


def load_gguf(path: Path) -> Checkpoint:
    """Read one GGUF file.

    Raises BuilderError: `CHECKPOINT_TRUNCATED`, `ARCHITECTURE_UNSUPPORTED`, `CONFIG_INVALID`, `TOKENIZER_MISSING`,
    `TOKENIZER_MISMATCH`, and those of `build_decoder`.
    """
    reader = _open(path)
    architecture = _field(reader, "general.architecture")
    if architecture != "llama":
        raise BuilderError(
            "ARCHITECTURE_UNSUPPORTED", f"{path} holds architecture {architecture!r}", "only llama is supported"
        )
    config = _config(reader, path)
    tensors, where = {}, {}
    for tensor in reader.tensors:
        name = _name(tensor.name, path)
        tensors[name], where[name] = _weight(tensor, config, path), f"{path} ({tensor.name})"
    config["tie_word_embeddings"] = "lm_head.weight" not in tensors
    model, tokenizer = build_decoder(config, tensors, str(path), where), _tokenizer(reader, path)
    # Not the converted tokenizer's: transformers adds tokens that the file hasn't.
    require_rows(model, len(_field(reader, "tokenizer.ggml.tokens")) - 1, path, "token_embd.weight")
    return Checkpoint(model=model, tokenizer=tokenizer, name=path.stem, notes=_notes(reader))


def _open(path: Path) -> Any:
    try:
        reader = gguf.GGUFReader(path)
    except Exception as error:  # numpy raises whatever a cut memory map leads to
        raise BuilderError(
            "CHECKPOINT_TRUNCATED", f"{path} is no complete GGUF file ({error})", "fetch the file again"
        ) from error
    size = path.stat().st_size
    for tensor in reader.tensors:
        if tensor.data_offset + tensor.n_bytes > size:
            raise BuilderError(
                "CHECKPOINT_TRUNCATED", f"{path} ends inside tensor {tensor.name}", "fetch the file again"
            )
    return reader


def _field(reader: Any, key: str) -> Any:
    field = reader.get_field(key)
    return None if field is None else field.contents()


def _number(reader: Any, path: Path, key: str, kind: type[int] | type[float]) -> Any:
    """The positive number of that kind under `key`. Raises BuilderError `CONFIG_INVALID`."""
    value = _field(reader, key)
    if not isinstance(value, kind) or value <= 0:
        raise BuilderError("CONFIG_INVALID", f"{path}: {key} is {value}, no positive number", "fetch the file again")
    return value


def _config(reader: Any, path: Path) -> dict[str, Any]:
    """A transformers LLaMA configuration. Raises `ARCHITECTURE_UNSUPPORTED` for rotary scaling, `CONFIG_INVALID`."""
    scaling = _field(reader, "llama.rope.scaling.type")
    if scaling not in (None, "none") or any(tensor.name == "rope_freqs.weight" for tensor in reader.tensors):
        raise BuilderError(
            "ARCHITECTURE_UNSUPPORTED", f"{path} scales its rotary embedding", "give the model as a safetensors folder"
        )
    embedding = next((tensor for tensor in reader.tensors if tensor.name == "token_embd.weight"), None)
    if embedding is None:
        raise BuilderError("TENSOR_MISSING", f"{path}: tensor token_embd.weight is missing", "fetch the file again")

    def count(key: str) -> Any:
        return _number(reader, path, f"llama.{key}", int)

    heads, hidden = count("attention.head_count"), count("embedding_length")
    grouped = reader.get_field("llama.attention.head_count_kv") is not None
    epsilon = _number(reader, path, "llama.attention.layer_norm_rms_epsilon", float)
    base = float(_field(reader, "llama.rope.freq_base") or 10_000.0)
    return {
        "model_type": "llama",
        "vocab_size": int(embedding.shape[-1]),
        "hidden_size": hidden,
        "intermediate_size": count("feed_forward_length"),
        "num_hidden_layers": count("block_count"),
        "num_attention_heads": heads,
        "num_key_value_heads": count("attention.head_count_kv") if grouped else heads,
        "head_dim": _field(reader, "llama.attention.key_length") or hidden // heads,
        "max_position_embeddings": count("context_length"),
        # 1e-5 travels as a 32-bit float; its shortest decimal is what the original configuration said.
        "rms_norm_eps": float(f"{epsilon:.6g}"),
        "rope_parameters": {"rope_type": "default", "rope_theta": base},
        "hidden_act": "silu",
        "bos_token_id": _field(reader, "tokenizer.ggml.bos_token_id"),
        "eos_token_id": _field(reader, "tokenizer.ggml.eos_token_id"),
    }


def _name(name: str, path: Path) -> str:
    """`blk.3.attn_q.weight` -> `model.layers.3.self_attn.q_proj.weight`."""
    stem, _, kind = name.rpartition(".")
    parts = stem.split(".")
    if stem in MODEL_PARTS:
        return f"{MODEL_PARTS[stem]}.{kind}"
    if len(parts) == 3 and parts[0] == "blk" and parts[2] in LAYER_PARTS:
        return f"model.layers.{parts[1]}.{LAYER_PARTS[parts[2]]}.{kind}"
    raise BuilderError(
        "TENSOR_UNEXPECTED",
        f"{path}: tensor {name} belongs to no part of a LLaMA",
        "only plain LLaMA-family files are supported",
    )


def _weight(tensor: Any, config: dict[str, Any], path: Path) -> Tensor:
    """fp32 `[out, in]`. Queries and keys go back from ggml's interleaved rotary order to transformers' halves.

    Raises BuilderError `TENSOR_TYPE`; a shape that can't be is left to `build_decoder`.
    """
    try:
        weight = torch.from_numpy(gguf.dequantize(tensor.data, tensor.tensor_type).copy())
    except NotImplementedError as error:
        raise BuilderError(
            "TENSOR_TYPE",
            f"{path}: tensor {tensor.name} is stored as {tensor.tensor_type.name}, which holds no weights we can read",
            "give a file in F32, F16, BF16 or one of llama.cpp's usual grids",
        ) from error
    if tensor.name.endswith(("attn_q.weight", "attn_k.weight")):
        heads = config["num_attention_heads" if "attn_q" in tensor.name else "num_key_value_heads"]
        if weight.dim() == 2 and len(weight) % (2 * heads) == 0:
            rows, columns = weight.shape
            # [heads, headSize / 2, 2, in] -> [heads, 2, headSize / 2, in]
            weight = weight.view(heads, rows // heads // 2, 2, columns).transpose(1, 2).reshape(rows, columns)
    return weight


def _tokenizer(reader: Any, path: Path) -> PreTrainedTokenizerBase:
    if reader.get_field("tokenizer.ggml.tokens") is None:
        raise BuilderError("TOKENIZER_MISSING", f"{path} holds no tokenizer", "use a GGUF file with its tokenizer")
    try:
        # From a folder of its own, since transformers also reads what lies beside the file, which may ask to run code.
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "model.gguf").symlink_to(path.resolve())
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, gguf_file="model.gguf", local_files_only=True, trust_remote_code=False
            )
    except Exception as error:  # transformers raises many types for tokenizers it can't convert
        raise BuilderError(
            "TOKENIZER_INVALID",
            f"{path}: its tokenizer ({_field(reader, 'tokenizer.ggml.model')}) can't be converted ({error})",
            "give the model as a safetensors folder with tokenizer.json",
        ) from error
    return tokenizer


def _notes(reader: Any) -> tuple[str, ...]:
    kinds = Counter(
        tensor.tensor_type.name for tensor in reader.tensors if ".attn" in tensor.name or ".ffn" in tensor.name
    )
    quantized = sorted(kinds.keys() - FULL_PRECISION)
    if not quantized:
        return ()
    return (
        f"The source is a GGUF file whose linear weights lie on the {', '.join(quantized)} grid already: quantizing to "
        "that very grid loses nothing and proves nothing.",
    )
