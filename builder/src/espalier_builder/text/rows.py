"""Calibration text as rows of token ids."""

from __future__ import annotations

import random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from espalier_builder.failure import BuilderError

# A larger text is cut here: rows are drawn at random, so more of it changes nothing but the time to tokenize it.
MOST_TOKENS = 4_000_000


def document_ids(tokenizer: PreTrainedTokenizerBase, text: str) -> list[int]:
    """BOS and the document's tokens; a tokenizer without BOS marks the start with EOS, or not at all."""
    mark = start_id(tokenizer)
    ids: list[int] = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
    return ids if mark is None else [mark, *ids]


def start_id(tokenizer: PreTrainedTokenizerBase) -> int | None:
    """The token that opens a document."""
    bos: int | None = tokenizer.bos_token_id
    eos: int | None = tokenizer.eos_token_id
    return eos if bos is None else bos


# Every so many tokens of a row of `control_rows` one is a control token, and each of those comes so often at least.
_CONTROL_STRIDE = 16
_CONTROL_TIMES = 16


def control_rows(tokenizer: PreTrainedTokenizerBase, rows: Tensor) -> Tensor:
    """Some of the calibration `rows` `[N, T]` with the tokenizer's control tokens in between, in turn: `[n, T]`.

    Chat templates write these tokens everywhere and text has none but where a document begins, while attention gathers
    on them: on SmolLM2 their keys and values are up to 6.4 times as large as any that text makes. None where the
    tokenizer has none.
    """
    ids: list[int] = sorted(tokenizer.all_special_ids)
    if not ids:
        return rows[:0]
    places = torch.arange(_CONTROL_STRIDE - 1, rows.shape[1], _CONTROL_STRIDE)
    count = -(-_CONTROL_TIMES * len(ids) // max(1, len(places)))
    result = rows[torch.arange(count) % len(rows)].clone()
    result[:, places] = torch.tensor(ids)[torch.arange(count * len(places)) % len(ids)].view(count, len(places))
    return result


def calibration_rows(
    tokenizer: PreTrainedTokenizerBase, documents: list[str], *, length: int, tokens: int, seed: int
) -> Tensor:
    """`[N, length]` windows at seeded random places of the stream BOS, document, BOS, document, ...; N * length is
    `tokens` rounded to whole rows, at least one.

    This is how the published methods' loaders draw their calibration sets (Wanda, SparseGPT, CFSP). Rows are in the
    order of the text, so that its first part and its last share no text but at the border.
    Raises BuilderError `TEXT_TOO_SHORT` where the stream is shorter than one row.
    """
    stream: list[int] = []
    for document in documents:
        stream += document_ids(tokenizer, document)
        if len(stream) >= MOST_TOKENS:
            break
    if len(stream) <= length:
        raise BuilderError(
            "TEXT_TOO_SHORT",
            f"the calibration text has {len(stream)} tokens, a row takes {length + 1}",
            "give more text or a shorter sequence length",
        )
    chance = random.Random(seed)
    count = max(1, round(tokens / length))
    starts = sorted(chance.randint(0, len(stream) - length - 1) for _ in range(count))
    return torch.tensor([stream[start : start + length] for start in starts])
