"""Checkpoint folders as transformers writes them, with safetensors only and without remote code."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.decoder import MASK, build_decoder, named_family
from espalier_builder.checkpoint.family import DecoderModel, Family
from espalier_builder.failure import BuilderError

INDEX = "model.safetensors.index.json"
# Of the embedding's rows, before a reader is told of it.
_MOST_PADDING = 0.1


def load_folder(folder: Path) -> Checkpoint:
    """Read config.json, every *.safetensors and tokenizer.json.

    Tensors are taken from their mapped shards one by one, so memory holds the fp32 model and nothing twice.
    Raises BuilderError: `CONFIG_INVALID`, `ARCHITECTURE_UNSUPPORTED`, `REMOTE_CODE`, `TOKENIZER_MISSING`,
    `TOKENIZER_MISMATCH`, `CHECKPOINT_TRUNCATED`, `CHECKPOINT_UNTRUSTED`, `TENSOR_TWICE`, and those of `build_decoder`.
    """
    config = read_json(folder / "config.json")
    _require_plain(config, folder)
    family = named_family(config, str(folder / "config.json"))
    tokenizer = load_tokenizer(folder)
    tensors, where = _read_tensors(folder, family)
    model = build_decoder(config, tensors, str(folder), where)
    highest = max(tokenizer.get_vocab().values(), default=-1)
    require_rows(model, highest, folder / "tokenizer.json", family.published_name("model.embed_tokens.weight"))
    notes = (*_context_notes(config, model.config), *_padding_notes(model, highest))
    mask = config.get(MASK)
    return Checkpoint(model, tokenizer, folder.resolve().name, notes, mask if isinstance(mask, str) else None)


def require_rows(model: DecoderModel, highest: int, file: Path, embedding: str) -> None:
    """Raises BuilderError `TOKENIZER_MISMATCH` where the `embedding`, so called where it was published, lacks the row
    of the `highest` token in `file`. Rows without a token are common padding."""
    rows = model.get_input_embeddings().num_embeddings
    if highest >= rows:
        raise BuilderError(
            "TOKENIZER_MISMATCH",
            f"{file} has tokens up to number {highest}, {embedding} has {rows} rows",
            "tokenizer and weights belong to different models; fetch both again",
        )


def _padding_notes(model: DecoderModel, highest: int) -> tuple[str, ...]:
    """Embeddings are padded to round sizes, by a few hundred rows; where much more is unused, somebody should look."""
    rows = model.get_input_embeddings().num_embeddings
    unused = rows - 1 - highest
    if unused <= _MOST_PADDING * rows:
        return ()
    return (
        f"{unused} of the embedding's {rows} rows have no token in tokenizer.json: is it another model's tokenizer?",
    )


def _context_notes(config: dict[str, Any], used: Any) -> tuple[str, ...]:
    context = config.get("max_position_embeddings")
    if not isinstance(context, int) or context <= used.max_position_embeddings:
        return ()
    return (
        f"Attention of this model sees a window of {used.max_position_embeddings} tokens; its context of {context} is "
        "cut there, where attending to everything is still the same.",
    )


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


def _require_plain(config: dict[str, Any], folder: Path) -> None:
    _refuse_remote_code(config, folder / "config.json")
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


def _read_tensors(folder: Path, family: Family) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Tensors by their names in memory, floating-point ones in fp32, and the file of each."""
    tensors: dict[str, Tensor] = {}
    where: dict[str, str] = {}
    shards = _shards(folder)
    for shard, named in shards.items():
        try:
            with safe_open(shard, "pt") as file:
                held = list(file.keys())
                for published in sorted(named - set(held)):
                    raise BuilderError(
                        "TENSOR_MISSING",
                        f"{shard}: tensor {published} is missing, where {folder / INDEX} places it",
                        "fetch the checkpoint again",
                    )
                for published in held:
                    name = family.name_in_memory(published)
                    if name in tensors:
                        raise BuilderError(
                            "TENSOR_TWICE",
                            f"{shard}: tensor {published} is in {where[name]} too",
                            "leave only the files of one checkpoint in the folder",
                        )
                    tensor = file.get_tensor(published)
                    tensors[name] = tensor.float() if tensor.is_floating_point() else tensor
                    where[name] = str(shard)
        except (SafetensorError, OSError, ValueError) as error:
            raise BuilderError(
                "CHECKPOINT_TRUNCATED",
                f"{shard} is no complete safetensors file ({error})",
                "fetch the checkpoint again and compare its digest",
            ) from error
    return tensors, where


def _shards(folder: Path) -> dict[Path, set[str]]:
    """The files that an index names, with the tensors that it places in each; without one every *.safetensors."""
    index = folder / INDEX
    if not index.is_file():
        return {shard: set() for shard in sorted(folder.glob("*.safetensors"))}
    named = read_json(index).get("weight_map")
    if not isinstance(named, dict) or not all(isinstance(name, str) for name in named.values()):
        raise BuilderError("CONFIG_INVALID", f"{index} names no shards (weight_map)", "fetch the checkpoint again")
    shards: dict[Path, set[str]] = {folder / name: set() for name in sorted(set(named.values()))}
    for tensor, name in named.items():
        shards[folder / name].add(tensor)
    for shard in shards:
        # By its name: Hugging Face's cache has links to files elsewhere under names of the folder.
        if shard.parent != folder:
            raise BuilderError(
                "CHECKPOINT_UNTRUSTED", f"{index} names {shard}, which lies elsewhere", "use another checkpoint"
            )
        if not shard.is_file():
            raise BuilderError("CHECKPOINT_TRUNCATED", f"{shard} is missing", "fetch the checkpoint again")
    return shards
