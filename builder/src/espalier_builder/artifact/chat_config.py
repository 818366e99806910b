"""`chat.json` and the tokenizer's files: what a device needs to turn text into tokens and back."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from transformers import PreTrainedTokenizerBase

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.failure import BuilderError

TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")


def chat_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The `ChatConfig` contract. Ids that end an answer: the generation config's, the config's and the tokenizer's."""
    tokenizer = checkpoint.tokenizer
    return {
        "schemaVersion": 1,
        "chatTemplate": _template(tokenizer),
        "bosTokenId": tokenizer.bos_token_id,
        "eosTokenIds": _eos_token_ids(checkpoint),
        "addBosToken": _adds_bos(tokenizer),
        "bosToken": tokenizer.bos_token,
        "eosToken": tokenizer.eos_token,
        "contextLength": checkpoint.model.config.max_position_embeddings,
    }


def write_tokenizer(tokenizer: PreTrainedTokenizerBase, folder: Path) -> None:
    """Writes tokenizer.json and tokenizer_config.json.

    Raises BuilderError `TOKENIZER_UNSUPPORTED` for a tokenizer without a tokenizer.json form.
    """
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        tokenizer.save_pretrained(scratch)
        for name in TOKENIZER_FILES:
            source = Path(scratch) / name
            if not source.is_file():
                raise BuilderError(
                    "TOKENIZER_UNSUPPORTED",
                    f"the checkpoint's tokenizer has no {name} form",
                    "use a checkpoint with a tokenizer.json",
                )
            (folder / name).write_bytes(source.read_bytes())


def _template(tokenizer: PreTrainedTokenizerBase) -> str | None:
    template = tokenizer.chat_template
    if isinstance(template, dict):
        template = template.get("default")
    return template if isinstance(template, str) else None


def _eos_token_ids(checkpoint: Checkpoint) -> list[int]:
    found: set[int] = set()
    sources = (checkpoint.model.generation_config, checkpoint.model.config, checkpoint.tokenizer)
    for source in sources:
        ids = getattr(source, "eos_token_id", None)
        if ids is not None:
            found.update(ids if isinstance(ids, list) else [ids])
    return sorted(found)


def _adds_bos(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Asked of the tokenizer itself: flags in tokenizer_config.json don't always say what its post-processor does."""
    if tokenizer.bos_token_id is None:
        return False
    ids = tokenizer("a").input_ids
    return bool(ids) and ids[0] == tokenizer.bos_token_id
