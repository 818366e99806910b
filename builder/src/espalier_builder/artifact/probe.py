"""`probe.json`: how a device proves that it runs the variant as the builder did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder

TOP_LOGITS = 32
SPREAD_LOGITS = 32
# Tokens at the end of a prompt that are also decoded one by one.
DECODED_TOKENS = 8


# A choice is decisive when its lead is so many times what rounding moves a lead by (root mean square).
DECISIVE_LEADS = 3
# So many positions are compared in any case, those with the greatest leads.
LEAST_DECISIVE = 0.25
# Of the decisive choices a faithful run makes all but very few: SmolLM2 at 8 bits, and pruned by 30 % at 4 bits, on the
# agent's kernels all of 152 and of 193, while of all 336 choices it makes 92 %.
MIN_AGREEMENT = 0.95


@dataclass(frozen=True, slots=True)
class Spread:
    """How far faithful runs of a variant differ.

    Kernels of another shape, thread count or instruction set sum in another order; at accuracy level 4 the difference
    decides which way an activation is rounded, so it grows to the size of the rounding (SmolLM2: cosine 0.99, 8 % of
    the choices). A fault (a missing tensor, wrong weights, zeros) leaves cosines near 0 and hardly any agreement.
    """

    cosine: float
    """The least between a prefill and the same tokens decoded one by one."""
    lead: float
    """Root mean square of what moves the lead of the likeliest token over the next one, in logits."""

    @property
    def min_cosine(self) -> float:
        return round(max(0.9, 1 - max(0.005, 4 * (1 - self.cosine))), 4)


@torch.inference_mode()
def record_probe(
    dense: DecoderModel, variant: OnnxDecoder, exact: OnnxDecoder, prompts: Sequence[list[int]]
) -> dict[str, Any]:
    """The `Probe` contract over `prompts` (each of 2 tokens or more).

    The dense model's choices come from PyTorch, the variant's from the exported files in ONNX Runtime at the accuracy
    level that they ship with; `exact` computes the same without rounding activations.
    """
    dense_choices, rows = [], []
    for tokens in prompts:
        dense_logits = dense(torch.tensor([tokens], device=dense.device), use_cache=False).logits[0]
        dense_choices.append(dense_logits.argmax(-1).tolist())
        rows.append(variant.logits(tokens))
    spread = measure_spread(variant, exact, prompts, rows)
    decisive = decisive_positions([leads(logits, logits) for logits in rows], spread.lead)
    first = rows[0][-1]
    indices = logit_indices(first)
    return {
        "schemaVersion": 1,
        "firstLogits": {
            "tokens": prompts[0],
            "indices": indices,
            "values": [float(first[index]) for index in indices],
            "minCosine": spread.min_cosine,
        },
        "prompts": [
            {"tokens": tokens, "denseTop1": of_dense, "variantTop1": logits.argmax(-1).tolist(), "decisive": positions}
            for tokens, of_dense, logits, positions in zip(prompts, dense_choices, rows, decisive, strict=True)
        ],
        "minAgreementWithBuilder": MIN_AGREEMENT,
    }


def leads(logits: NDArray[np.float32], chosen_by: NDArray[np.float32]) -> NDArray[np.float32]:
    """`[T]`: by how much `logits [T, V]` prefer the likeliest token of `chosen_by [T, V]` to its next one."""
    following, likeliest = np.argsort(chosen_by, axis=-1, kind="stable")[:, -2:].T
    every = np.arange(len(logits))
    return np.asarray(logits[every, likeliest] - logits[every, following], np.float32)


def decisive_positions(lead: Sequence[NDArray[np.float32]], moved_by: float) -> list[list[int]]:
    """Per prompt, the positions whose lead rounding doesn't turn, or the quarter of all with the greatest ones."""
    every = np.concatenate(list(lead))
    least = min(DECISIVE_LEADS * moved_by, float(np.quantile(every, 1 - LEAST_DECISIVE)))
    return [np.flatnonzero(of_prompt >= least).tolist() for of_prompt in lead]


def logit_indices(logits: NDArray[np.float32]) -> list[int]:
    """The 32 likeliest entries of `logits [V]` and 32 spread over the vocabulary, ascending, without repetition."""
    top = np.argsort(-logits, kind="stable")[:TOP_LOGITS]
    spread = np.linspace(0, len(logits) - 1, SPREAD_LOGITS).round()
    return sorted({int(index) for index in (*top, *spread)})


def measure_spread(
    variant: OnnxDecoder, exact: OnnxDecoder, prompts: Sequence[list[int]], prefilled: Sequence[NDArray[np.float32]]
) -> Spread:
    """Compares `prefilled[i] [T, V]`, logits of `prompts[i]`, with those without rounding, and the last ones with
    decoding these tokens one by one."""
    cosines, moved = [], []
    for tokens, logits in zip(prompts, prefilled, strict=True):
        moved.append(leads(logits, logits) - leads(exact.logits(tokens), logits))
        cache = variant.cache(len(tokens))
        start = max(0, len(tokens) - DECODED_TOKENS)
        if start > 0:
            variant.extend(cache, tokens[:start])
        decoded = np.concatenate([variant.extend(cache, [token]) for token in tokens[start:]])
        expected = logits[start:]
        moved.append(leads(expected, expected) - leads(decoded, expected))
        for row, own in zip(expected, decoded, strict=True):
            indices = logit_indices(row)
            cosines.append(cosine(row[indices], own[indices]))
    return Spread(cosine=min(cosines), lead=float(np.sqrt(np.mean(np.concatenate(moved) ** 2))))


def cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Cosine of the angle between two vectors; 0 where one of them is all zeros."""
    norms = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return 0.0 if norms == 0 else float(np.dot(left, right)) / norms
