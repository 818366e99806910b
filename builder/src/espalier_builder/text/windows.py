"""Evaluation text as windows in which every token is scored once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from espalier_builder.failure import BuilderError
from espalier_builder.text.rows import MOST_TOKENS, start_id


@dataclass(frozen=True, slots=True)
class Window:
    """`inputs` `[T]` token ids; row `positions[i]` of their logits is scored against `targets[i]`, both `[R]`, R <= T.

    Positions that would predict the mark between two documents aren't scored: no text foretells it.
    """

    inputs: Tensor
    positions: Tensor
    targets: Tensor


@dataclass(frozen=True, slots=True)
class TextSlice:
    """A named part of the text, `text_bytes` long: `masks[i]` `[R]` bool says which targets of window i are its."""

    name: str
    masks: tuple[Tensor, ...]
    text_bytes: int


@dataclass(frozen=True, slots=True)
class EvaluationWindows:
    """`tokens` scored targets, which spell `text_bytes` bytes of UTF-8; a window takes at most `length` tokens."""

    windows: tuple[Window, ...]
    length: int
    tokens: int
    text_bytes: int
    slices: tuple[TextSlice, ...] = ()


def evaluation_windows(
    tokenizer: PreTrainedTokenizerBase,
    documents: list[str],
    *,
    length: int,
    tokens: int,
    slices: Sequence[str] = (),
) -> EvaluationWindows:
    """Cut the stream BOS, document, BOS, document, ... into windows that don't overlap, until `tokens` are scored.

    A window's last input predicts the first token of the next window, so each token of the documents is a target
    exactly once. `slices[i]` names the slice of document i, "" for none.
    Raises BuilderError `TEXT_TOO_SHORT` for less than two tokens.
    """
    mark = start_id(tokenizer)
    stream: list[int] = []
    scored: list[bool] = []
    owners: list[str] = []
    bytes_of: dict[str, int] = {}
    room = 0
    for document, owner in zip(documents, slices or [""] * len(documents), strict=True):
        room = tokens - sum(scored)
        if room <= 0:
            break
        encoded = tokenizer(document, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        ids = encoded.input_ids[:room]
        if not ids:
            continue
        if mark is not None:
            stream.append(mark)
            scored.append(False)
        stream += ids
        # Without a mark nothing foretells the very first token.
        first_is_scored = mark is not None or len(stream) > len(ids)
        scored += [first_is_scored] + [True] * (len(ids) - 1)
        start = 0 if first_is_scored else encoded.offset_mapping[0][1]
        owners += [owner] * (len(stream) - len(owners))
        text_bytes = len(document[start : encoded.offset_mapping[len(ids) - 1][1]].encode())
        bytes_of[owner] = bytes_of.get(owner, 0) + text_bytes
    if sum(scored) < 1 or sum(bytes_of.values()) == 0:
        raise BuilderError("TEXT_TOO_SHORT", "the evaluation text has less than 2 tokens", "give more text")
    windows, masks = [], []
    for start in range(0, len(stream) - 1, length):
        window = _window(stream[start : start + length + 1], scored[start + 1 : start + length + 1])
        if len(window.targets) > 0:
            windows.append(window)
            masks.append([owners[start + 1 + position] for position in window.positions.tolist()])
    return EvaluationWindows(
        windows=tuple(windows),
        length=length,
        tokens=sum(scored),
        text_bytes=sum(bytes_of.values()),
        slices=tuple(
            TextSlice(name, tuple(torch.tensor([owner == name for owner in of_window]) for of_window in masks), size)
            for name, size in sorted(bytes_of.items())
            if name != "" and any(name in of_window for of_window in masks)
        ),
    )


def document_windows(tokenizer: PreTrainedTokenizerBase, documents: list[str], *, length: int) -> EvaluationWindows:
    """Every token of every document once, each document in windows of its own: how published methods are evaluated.

    Raises what `evaluation_windows` raises.
    """
    each = [evaluation_windows(tokenizer, [text], length=length, tokens=MOST_TOKENS) for text in documents]
    return EvaluationWindows(
        windows=tuple(window for cut in each for window in cut.windows),
        length=length,
        tokens=sum(cut.tokens for cut in each),
        text_bytes=sum(cut.text_bytes for cut in each),
    )


def _window(ids: list[int], scored: list[bool]) -> Window:
    """`ids` holds one token more than the inputs; `scored[i]` says whether `ids[i + 1]` is a target."""
    positions = torch.tensor(scored).nonzero().flatten()
    return Window(inputs=torch.tensor(ids[:-1]), positions=positions, targets=torch.tensor(ids[1:])[positions])
