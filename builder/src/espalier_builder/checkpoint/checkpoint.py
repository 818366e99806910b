"""A checkpoint in memory: what every later stage starts from."""

from __future__ import annotations

from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from espalier_builder.checkpoint.family import DecoderModel


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """`model` is fp32, in evaluation mode and without gradients; nobody changes it in place.

    `notes` are facts about the source that a reader of any figure must know, e.g. that its weights lie on a 4-bit grid.
    `mask`: the method that made some of its weights zero, which training would move.
    """

    model: DecoderModel
    tokenizer: PreTrainedTokenizerBase
    name: str
    notes: tuple[str, ...] = ()
    mask: str | None = None
