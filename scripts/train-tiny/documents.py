"""Turns stories into token sequences, and sequences into batches.

Shapes: B sequences a batch, T tokens a sequence.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer

from chat_requests import Exchange, exchange_for
from vocabulary import ASSISTANT_ID, BOS_ID, EOS_ID, PAD_ID, SYSTEM_ID, USER_ID

IGNORE = -100
"""The target that cross_entropy skips."""

CHAT_SHARE = 0.5
PACKED_SHARE = 0.25
SORT_POOL = 256


@dataclass(frozen=True, slots=True)
class Document:
    """Token ids from BOS to EOS, and for each whether the model learns to predict it."""

    ids: list[int]
    learned: list[bool]

    def __add__(self, other: "Document") -> "Document":
        return Document(self.ids + other.ids, self.learned + other.learned)


@dataclass(frozen=True, slots=True)
class Batch:
    """`inputs` and `targets` are [B, T]; padding is on the right, where causal attention needs no mask."""

    inputs: torch.Tensor
    targets: torch.Tensor


def plain_document(tokenizer: Tokenizer, story: str) -> Document:
    """`<s>story</s>`; BOS is never predicted."""
    ids = tokenizer.encode(story, add_special_tokens=False).ids
    return Document([BOS_ID, *ids, EOS_ID], [False] + [True] * (len(ids) + 1))


def chat_document(tokenizer: Tokenizer, exchange: Exchange) -> Document:
    """What chat_template.jinja renders for one exchange; only the answer and its EOS are learned."""

    def encode(text: str) -> list[int]:
        return list(tokenizer.encode(text, add_special_tokens=False).ids)

    system = [SYSTEM_ID, *encode(exchange.system)] if exchange.system else []
    prompt = [BOS_ID, *system, USER_ID, *encode(exchange.user), ASSISTANT_ID]
    answer = [*encode(exchange.assistant), EOS_ID]
    return Document(prompt + answer, [False] * len(prompt) + [True] * len(answer))


def windows(document: Document, context: int) -> Iterator[Document]:
    """Cuts at the context length; the next window predicts from where the last one ended."""
    for start in range(0, len(document.ids) - 1, context):
        end = start + context + 1
        yield Document(document.ids[start:end], document.learned[start:end])


def epoch_batches(tokenizer: Tokenizer, stories: list[str], context: int, batch_tokens: int, seed: int) -> list[Batch]:
    """One pass over the stories in a new order, each plain or as a chat, alone or packed with others.

    The same seed gives the same batches, so a resumed run needs to remember only its position.
    Packing teaches the positions up to `context` and, since a packed chat has no BOS of its own, later turns.
    """
    chance = Random(seed)
    alone: list[Document] = []
    packed = Document([], [])
    for story in chance.sample(stories, len(stories)):
        is_chat = chance.random() < CHAT_SHARE
        document = (
            chat_document(tokenizer, exchange_for(story, chance)) if is_chat else plain_document(tokenizer, story)
        )
        if chance.random() >= PACKED_SHARE:
            alone += windows(document, context)
        elif is_chat and packed.ids:
            packed += Document(document.ids[1:], document.learned[1:])
        else:
            packed += document
    sequences = alone + list(windows(packed, context))
    chance.shuffle(sequences)
    batches = list(_length_bucketed(sequences, batch_tokens))
    chance.shuffle(batches)
    return batches


def padded_batch(sequences: list[Document]) -> Batch:
    """Right-pads to the longest sequence: inputs are ids[:-1], targets ids[1:] where learned."""
    shape = (len(sequences), max(len(each.ids) for each in sequences) - 1)
    inputs, targets = torch.full(shape, PAD_ID), torch.full(shape, IGNORE)
    for row, each in enumerate(sequences):
        length = len(each.ids) - 1
        inputs[row, :length] = torch.tensor(each.ids[:-1])
        learned = torch.tensor(each.learned[1:])
        targets[row, :length] = torch.where(learned, torch.tensor(each.ids[1:]), IGNORE)
    return Batch(inputs, targets)


def _length_bucketed(sequences: list[Document], batch_tokens: int) -> Iterator[Batch]:
    """Batches of at most `batch_tokens` padded tokens, from pools sorted by length so that little is padding."""
    for start in range(0, len(sequences), SORT_POOL):
        pool = sorted(sequences[start : start + SORT_POOL], key=lambda each: len(each.ids))
        batch: list[Document] = []
        for each in pool:
            if batch and (len(batch) + 1) * (len(each.ids) - 1) > batch_tokens:
                yield padded_batch(batch)
                batch = []
            batch.append(each)
        yield padded_batch(batch)
