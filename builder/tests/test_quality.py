"""The accumulator against formulas written out here."""

from __future__ import annotations

import base64
import math

import pytest
import torch

from espalier_builder.evaluate.quality import QualityAccumulator, mean_with_half_width, student_quantile
from espalier_builder.failure import BuilderError


def random_window(seed: int, tokens: int, vocabulary: int = 11) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    dense = torch.randn(tokens, vocabulary, generator=chance)
    other = dense + torch.randn(tokens, vocabulary, generator=chance)
    return dense, other, torch.randint(vocabulary, (tokens,), generator=chance)


def test_figures_equal_the_textbook_formulas_over_all_tokens() -> None:
    windows = [random_window(seed, tokens) for seed, tokens in enumerate([300, 300, 7])]
    accumulator = QualityAccumulator()
    for window in windows:
        accumulator.add(*window)
    quality = accumulator.quality(text_bytes=1000)

    dense, other, targets = (torch.cat(parts).double() for parts in zip(*windows, strict=True))
    p, q = dense.softmax(-1), other.softmax(-1)
    nll = torch.nn.functional.cross_entropy(other, targets.long()).item()
    assert quality.perplexity == pytest.approx(math.exp(nll), rel=1e-5)
    assert quality.bits_per_byte == pytest.approx(nll * 607 / math.log(2) / 1000, rel=1e-5)
    assert quality.kl == pytest.approx((p * (p / q).log()).sum(-1).mean().item(), rel=1e-4)
    assert quality.agreement == (dense.argmax(-1) == other.argmax(-1)).double().mean().item()
    assert quality.kl_half_width > 0


def test_paired_figures_add_up_to_the_quality_and_keep_each_token_in_order() -> None:
    windows = [random_window(seed, tokens) for seed, tokens in enumerate([300, 7])]
    accumulator = QualityAccumulator()
    for window in windows:
        accumulator.add(*window)
    quality, paired = accumulator.quality(text_bytes=1000), accumulator.paired().to_json()
    assert paired["tokens"] == [300, 7]
    assert math.exp(sum(paired["nll"]) / 307) == pytest.approx(quality.perplexity)
    assert sum(paired["kl"]) / 307 == pytest.approx(quality.kl)
    data = base64.b64decode(paired["agreeing"])
    dense, other = (torch.cat([window[index] for window in windows]) for index in (0, 1))
    expected = (dense.argmax(-1) == other.argmax(-1)).tolist()
    assert [bool(data[token // 8] >> token % 8 & 1) for token in range(307)] == expected


def test_figures_of_masked_tokens_are_those_of_these_tokens_alone() -> None:
    windows = [random_window(seed, tokens) for seed, tokens in enumerate([300, 7, 40])]
    masks = [torch.arange(300) % 3 == 0, torch.zeros(7, dtype=torch.bool), torch.arange(40) < 11]
    whole, part = QualityAccumulator(), QualityAccumulator()
    for window, mask in zip(windows, masks, strict=True):
        whole.add(*window)
        if mask.any():
            dense, other, targets = window
            part.add(dense[mask], other[mask], targets[mask])
    masked, expected = whole.quality(text_bytes=100, masks=masks), part.quality(text_bytes=100)
    assert masked.to_json() == pytest.approx(expected.to_json())


def test_the_dense_model_against_itself_agrees_everywhere() -> None:
    dense, _, targets = random_window(0, 64)
    accumulator = QualityAccumulator()
    accumulator.add(dense, dense.clone(), targets)
    quality = accumulator.quality(text_bytes=64)
    assert (quality.agreement, quality.kl, quality.kl_half_width) == (1.0, 0.0, 0.0)


def test_a_confidence_interval_of_equal_windows_is_students() -> None:
    means = torch.tensor([0.1, 0.4, 0.2, 0.3, 0.5, 0.1, 0.2, 0.6, 0.3, 0.4])
    mean, half_width = mean_with_half_width([torch.full((5,), float(value)) for value in means])
    assert mean == pytest.approx(means.mean().item())
    assert half_width == pytest.approx(2.262 * means.std().item() / math.sqrt(10), rel=1e-3)


@pytest.mark.parametrize(("degrees", "expected"), [(7, 2.3646), (15, 2.1314), (30, 2.0423), (1000, 1.9623)])
def test_quantiles_match_the_published_table(degrees: int, expected: float) -> None:
    assert student_quantile(degrees) == pytest.approx(expected, rel=1e-3)


def test_broken_logits_are_refused_by_row() -> None:
    dense, other, targets = random_window(0, 8)
    other[3, 2] = float("nan")
    with pytest.raises(BuilderError, match="NaN") as caught:
        QualityAccumulator().add(dense, other, targets)
    assert caught.value.code == "LOGITS_NOT_FINITE"


def test_unequal_shapes_are_refused() -> None:
    dense, other, targets = random_window(0, 8)
    with pytest.raises(BuilderError, match="vocabulary"):
        QualityAccumulator().add(dense[:, :5], other, targets)


def test_no_tokens_is_an_error_not_a_perfect_score() -> None:
    with pytest.raises(BuilderError, match="no token"):
        QualityAccumulator().quality(text_bytes=1)
