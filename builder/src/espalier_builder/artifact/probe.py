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


@dataclass(frozen=True, slots=True)
class Spread:
    """How far two faithful runs of a variant differ: a prefill, and the same tokens decoded one by one.

    Kernels of another shape, thread count or instruction set sum in another order; at accuracy level 4 the difference
    decides which way an activation is rounded, so it grows to the size of the rounding (SmolLM2: cosine 0.99, 2 % of
    the choices). A fault (a missing tensor, wrong weights, zeros) leaves cosines near 0 and hardly any agreement.
    """

    cosine: float
    agreement: float

    @property
    def min_cosine(self) -> float:
        return round(max(0.9, 1 - max(0.005, 4 * (1 - self.cosine))), 4)

    @property
    def min_agreement(self) -> float:
        return round(max(0.75, 1 - max(0.05, 3 * (1 - self.agreement))), 4)


@torch.inference_mode()
def record_probe(dense: DecoderModel, variant: OnnxDecoder, prompts: Sequence[list[int]]) -> dict[str, Any]:
    """The `Probe` contract over `prompts` (each of 2 tokens or more).

    The dense model's choices come from PyTorch, the variant's from the exported files in ONNX Runtime at the accuracy
    level that they ship with.
    """
    dense_choices, choices, lasts = [], [], []
    for tokens in prompts:
        dense_logits = dense(torch.tensor([tokens], device=dense.device), use_cache=False).logits[0]
        logits = variant.logits(tokens)
        dense_choices.append(dense_logits.argmax(-1).tolist())
        choices.append(logits.argmax(-1).tolist())
        lasts.append(logits[-DECODED_TOKENS:])
    spread = measure_spread(variant, prompts, lasts)
    first = lasts[0][-1]
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
            {"tokens": tokens, "denseTop1": of_dense, "variantTop1": of_variant}
            for tokens, of_dense, of_variant in zip(prompts, dense_choices, choices, strict=True)
        ],
        "minAgreementWithBuilder": spread.min_agreement,
    }


def logit_indices(logits: NDArray[np.float32]) -> list[int]:
    """The 32 likeliest entries of `logits [V]` and 32 spread over the vocabulary, ascending, without repetition."""
    top = np.argsort(-logits, kind="stable")[:TOP_LOGITS]
    spread = np.linspace(0, len(logits) - 1, SPREAD_LOGITS).round()
    return sorted({int(index) for index in (*top, *spread)})


def measure_spread(
    variant: OnnxDecoder, prompts: Sequence[list[int]], prefilled: Sequence[NDArray[np.float32]]
) -> Spread:
    """Compares `prefilled[i] [D, V]`, logits of the last D tokens of `prompts[i]`, with decoding these one by one."""
    cosines, agreeing = [], []
    for tokens, expected in zip(prompts, prefilled, strict=True):
        cache = variant.cache(len(tokens))
        start = len(tokens) - len(expected)
        if start > 0:
            variant.extend(cache, tokens[:start])
        for token, row in zip(tokens[start:], expected, strict=True):
            decoded = variant.extend(cache, [token])[0]
            indices = logit_indices(row)
            cosines.append(cosine(row[indices], decoded[indices]))
            agreeing.append(int(row.argmax()) == int(decoded.argmax()))
    return Spread(cosine=min(cosines), agreement=sum(agreeing) / len(agreeing))


def cosine(left: NDArray[np.float32], right: NDArray[np.float32]) -> float:
    """Cosine of the angle between two vectors; 0 where one of them is all zeros."""
    norms = float(np.linalg.norm(left)) * float(np.linalg.norm(right))
    return 0.0 if norms == 0 else float(np.dot(left, right)) / norms
