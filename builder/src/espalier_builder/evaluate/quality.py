"""Quality figures, accumulated window by window from logits of any engine."""

from __future__ import annotations

import base64
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from espalier_builder.failure import BuilderError

# Rows of [T, V] handled at once: bounds the temporaries (4 of [ROWS, V] fp32) whatever T is.
ROWS = 256
# Fewest samples behind a confidence interval; fewer windows than this are cut into equal parts.
FEWEST_SAMPLES = 8


@dataclass(frozen=True, slots=True)
class Quality:
    """The `Quality` contract: KL in nats per token, KL(dense || this)."""

    perplexity: float
    bits_per_byte: float
    agreement: float
    kl: float
    kl_half_width: float

    def to_json(self) -> dict[str, float]:
        return {
            "perplexity": self.perplexity,
            "bitsPerByte": self.bits_per_byte,
            "agreement": self.agreement,
            "kl": self.kl,
            "klHalfWidth": self.kl_half_width,
        }


@dataclass(frozen=True, slots=True)
class PairedFigures:
    """The `PairedFigures` contract: sums of N windows in nats, and `agreeing [tokens]` bool."""

    tokens: list[int]
    nll: list[float]
    kl: list[float]
    agreeing: Tensor

    def to_json(self) -> dict[str, Any]:
        bits = np.packbits(self.agreeing.cpu().numpy(), bitorder="little")
        return {
            "tokens": self.tokens,
            "nll": self.nll,
            "kl": self.kl,
            "agreeing": base64.b64encode(bits.tobytes()).decode("ascii"),
        }


class QualityAccumulator:
    """Collects per-token figures of one model against the dense model.

        accumulator = QualityAccumulator()
        for window in windows:                                  # T tokens in, T targets
            accumulator.add(dense_logits, logits, targets)      # [T, V] float, [T, V] float, [T] int64
        quality = accumulator.quality(text_bytes=windows.text_bytes)

    Logits may be of any float type and device (NumPy users: `torch.from_numpy`); V may not differ between the two.
    Only a few numbers per token are kept.
    """

    def __init__(self) -> None:
        # A tensor `[T]` a window.
        self._nll: list[Tensor] = []
        self._kl: list[Tensor] = []
        self._agreeing: list[Tensor] = []

    @property
    def tokens(self) -> int:
        return sum(len(window) for window in self._kl)

    @torch.inference_mode()
    def add(self, dense_logits: Tensor, logits: Tensor, targets: Tensor) -> None:
        """One window: logits `[T, V]` of the dense and of this model at the same T positions, targets `[T]`.

        Raises BuilderError `LOGITS_MISMATCH` for shapes that don't fit and `LOGITS_NOT_FINITE` for NaN or infinity.
        """
        if dense_logits.shape != logits.shape or targets.shape != logits.shape[:1] or logits.ndim != 2:
            raise BuilderError(
                "LOGITS_MISMATCH",
                f"dense logits {tuple(dense_logits.shape)}, logits {tuple(logits.shape)} and targets "
                f"{tuple(targets.shape)} are not [T, V], [T, V] and [T]",
                "evaluate both models on the same windows and the same vocabulary",
            )
        kl_rows, nll_rows, agreeing_rows = [], [], []
        for start in range(0, len(targets), ROWS):
            rows = slice(start, start + ROWS)
            dense, this = dense_logits[rows].float(), logits[rows].float()
            log_dense, log_this = dense.log_softmax(-1), this.log_softmax(-1)
            nll = -log_this.gather(-1, targets[rows, None])[:, 0].double()
            kl = (log_dense.exp() * (log_dense - log_this)).sum(-1).double()
            if not bool(nll.isfinite().all() and kl.isfinite().all()):
                raise BuilderError(
                    "LOGITS_NOT_FINITE",
                    f"logits of rows {start}..{start + len(kl) - 1} hold NaN or infinity",
                    "the model is broken at this level: use a lower sparsity or more bits",
                )
            nll_rows.append(nll.cpu())
            kl_rows.append(kl.cpu())
            agreeing_rows.append((dense.argmax(-1) == this.argmax(-1)).cpu())
        self._nll.append(torch.cat(nll_rows))
        self._kl.append(torch.cat(kl_rows))
        self._agreeing.append(torch.cat(agreeing_rows))

    def quality(self, *, text_bytes: int, masks: Sequence[Tensor] | None = None) -> Quality:
        """The figures over all tokens added; `text_bytes` is the UTF-8 size of the text that the targets spell.

        `masks[i]` `[T]` bool of each window added: only these tokens.
        Raises BuilderError `NOTHING_EVALUATED` without tokens, `PERPLEXITY_OVERFLOW` beyond what a double holds.
        """
        nll_of, kl_of, agreeing_of = (_chosen(values, masks) for values in (self._nll, self._kl, self._agreeing))
        tokens = sum(len(window) for window in kl_of)
        if tokens == 0 or text_bytes <= 0:
            raise BuilderError("NOTHING_EVALUATED", "no token was scored", "give evaluation text of 2 tokens or more")
        nll = sum(window.sum().item() for window in nll_of)
        mean_nll = nll / tokens
        if mean_nll > 700:
            raise BuilderError(
                "PERPLEXITY_OVERFLOW",
                f"the mean negative log-likelihood is {mean_nll:.0f} nats per token",
                "the model is broken at this level: use a lower sparsity or more bits",
            )
        kl, half_width = mean_with_half_width(kl_of)
        return Quality(
            perplexity=math.exp(mean_nll),
            bits_per_byte=nll / math.log(2) / text_bytes,
            agreement=int(torch.cat(agreeing_of).sum()) / tokens,
            kl=kl,
            kl_half_width=half_width,
        )

    def log_perplexity_half_width(self, dense: QualityAccumulator, masks: Sequence[Tensor] | None = None) -> float:
        """Of the 95 % confidence interval of ln(perplexity / the dense model's), both taken on the same tokens."""
        differences = [this - reference for this, reference in zip(self._nll, dense._nll, strict=True)]
        return mean_with_half_width(_chosen(differences, masks))[1]

    def paired(self) -> PairedFigures:
        """What has been added, window by window and token by token."""
        return PairedFigures(
            tokens=[len(window) for window in self._kl],
            nll=[window.sum().item() for window in self._nll],
            kl=[window.sum().item() for window in self._kl],
            agreeing=torch.cat(self._agreeing),
        )


def _chosen(windows: Sequence[Tensor], masks: Sequence[Tensor] | None) -> list[Tensor]:
    """The masked values of each window, windows without any left out."""
    if masks is None:
        return list(windows)
    return [chosen for window, mask in zip(windows, masks, strict=True) if len(chosen := window[mask]) > 0]


def mean_with_half_width(windows: list[Tensor]) -> tuple[float, float]:
    """Token-weighted mean of per-token values `[T_i]`, and the half width of its 95 % confidence interval.

    The windows are the samples, since tokens of one window are not independent: the variance is the ratio estimator's
    (windows may differ in length), the quantile Student's. With fewer than 8 windows each is cut into equal parts.
    """
    parts_each = -(-FEWEST_SAMPLES // len(windows))
    parts = [part for window in windows for part in window.tensor_split(parts_each) if len(part) > 0]
    tokens = sum(len(part) for part in parts)
    mean = sum(part.sum().item() for part in parts) / tokens
    if len(parts) < 2:
        return mean, 0.0
    squares = sum((part.sum().item() - len(part) * mean) ** 2 for part in parts)
    deviation = math.sqrt(squares * len(parts) / (len(parts) - 1)) / tokens
    return mean, student_quantile(len(parts) - 1) * deviation


def student_quantile(degrees: int) -> float:
    """The 97.5 % quantile of Student's t, by the Cornish-Fisher expansion (within 0.5 % for 3 degrees or more)."""
    z = 1.959963984540054
    first = (z**3 + z) / 4
    second = (5 * z**5 + 16 * z**3 + 3 * z) / 96
    third = (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384
    return z + first / degrees + second / degrees**2 + third / degrees**3
