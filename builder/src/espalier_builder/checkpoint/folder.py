"""Checkpoint folders as transformers writes them, with safetensors only and without remote code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.llama import build_llama
from espalier_builder.failure import BuilderError


def load_folder(folder: Path) -> Checkpoint:
    """Read config.json, every *.safetensors and tokenizer.json.

    Raises BuilderError: `CONFIG_INVALID`, `ARCHITECTURE_UNSUPPORTED`, `REMOTE_CODE`, `TOKENIZER_MISSING`,
    `TOKENIZER_MISMATCH`, `CHECKPOINT_TRUNCATED`, and those of `build_llama`.
    """
    config = read_json(folder / "config.json")
    _require_llama(config, folder)
    tokenizer = load_tokenizer(folder)
    model = build_llama(config, _read_tensors(folder), str(folder))
    rows = model.get_input_embeddings().num_embeddings
    if tokenizer.vocab_size > rows:
        raise BuilderError(
            "TOKENIZER_MISMATCH",
            f"{folder / 'tokenizer.json'} has {tokenizer.vocab_size} tokens, model.embed_tokens.weight has {rows} rows",
            "tokenizer and weights belong to different models; fetch both again",
        )
    return Checkpoint(model=model, tokenizer=tokenizer, name=folder.resolve().name)


def load_tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    if not (folder / "tokenizer.json").is_file():
        raise BuilderError(
            "TOKENIZER_MISSING",
            f"{folder / 'tokenizer.json'} does not exist",
            "save the tokenizer beside the weights as tokenizer.json (`tokenizer.save_pretrained`)",
        )
    if (folder / "tokenizer_config.json").is_file():
        _refuse_remote_code(read_json(folder / "tokenizer_config.json"), folder / "tokenizer_config.json")
    try:
        # Not AutoTokenizer, which reads config.json as well and knows no widths that differ by layer.
        tokenizer: PreTrainedTokenizerBase = PreTrainedTokenizerFast.from_pretrained(str(folder), local_files_only=True)
    except Exception as error:  # the tokenizers library raises bare Exception
        raise BuilderError(
            "TOKENIZER_INVALID", f"{folder / 'tokenizer.json'} can't be read ({error})", "save the tokenizer again"
        ) from error
    return tokenizer


def read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError as error:
        raise BuilderError("CONFIG_INVALID", f"{path} does not exist", "fetch the checkpoint again") from error
    except (UnicodeDecodeError, json.JSONDecodeError) as error:
        raise BuilderError("CONFIG_INVALID", f"{path} is no JSON ({error})", "fetch the checkpoint again") from error
    if not isinstance(value, dict):
        raise BuilderError("CONFIG_INVALID", f"{path} is no JSON object", "fetch the checkpoint again")
    return value


def _require_llama(config: dict[str, Any], folder: Path) -> None:
    _refuse_remote_code(config, folder / "config.json")
    architectures = config.get("architectures") or ["LlamaForCausalLM"]
    if config.get("model_type") != "llama" or architectures != ["LlamaForCausalLM"]:
        raise BuilderError(
            "ARCHITECTURE_UNSUPPORTED",
            f"{folder / 'config.json'} describes {architectures[0]} (model_type {config.get('model_type')!r})",
            "only LlamaForCausalLM is supported",
        )
    if config.get("quantization_config") is not None:
        raise BuilderError(
            "ARCHITECTURE_UNSUPPORTED",
            f"{folder / 'config.json'} describes weights that are quantized already",
            "give the unquantized checkpoint or a GGUF file",
        )


def _refuse_remote_code(config: dict[str, Any], path: Path) -> None:
    if "auto_map" in config:
        raise BuilderError(
            "REMOTE_CODE",
            f"{path} asks to run code of its own (auto_map)",
            "remote code is never run; use another model",
        )


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for shard in _shards(folder):
        try:
            with safe_open(shard, "pt") as file:
                tensors |= {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (no mapping)
        except (SafetensorError, OSError, ValueError) as error:
            raise BuilderError(
                "CHECKPOINT_TRUNCATED",
                f"{shard} is no complete safetensors file ({error})",
                "fetch the checkpoint again and compare its digest",
            ) from error
    return tensors


def _shards(folder: Path) -> list[Path]:
    """The files that an index names, or else every *.safetensors; a named file that isn't there is an error."""
    index = folder / "model.safetensors.index.json"
    if not index.is_file():
        return sorted(folder.glob("*.safetensors"))
    shards = [folder / name for name in sorted(set(read_json(index).get("weight_map", {}).values()))]
    for shard in shards:
        if not shard.is_file() or shard.resolve().parent != folder.resolve():
            raise BuilderError("CHECKPOINT_TRUNCATED", f"{shard} is missing", "fetch the checkpoint again")
    return shards
