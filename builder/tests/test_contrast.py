"""The contrast between layers that `cfsp-rel` tries out."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from espalier_builder.contracts import Pruning
from espalier_builder.prune.apply import choose_cut, cut_out
from espalier_builder.prune.budget import allocate
from espalier_builder.prune.cfsp import coarse_importance
from espalier_builder.prune.contrast import CONTRASTS, _loss_with
from espalier_builder.prune.cut import whole
from espalier_builder.prune.minillm import loss
from espalier_builder.prune.neurons import Calibration, all_scores, ffn_budget, top
from espalier_builder.prune.statistics import collect_statistics
from tiny_llama import random_rows, tiny_model

PRUNING = Pruning("cfsp-rel", 0.3, 1)
# Far enough apart that each contrast has widths of its own.
ANGLES = (0.1, 0.2, 0.5)


@pytest.mark.parametrize("seed", range(4))
def test_cfsp_rel_keeps_the_widths_that_lose_least_of_those_that_each_contrast_leads_to(seed: int) -> None:
    torch.manual_seed(seed)
    model, rows = tiny_model(layers=3), random_rows()
    for layer in model.model.layers:  # A model whose FFNs matter, some more than others.
        torch.nn.init.normal_(layer.mlp.down_proj.weight, std=float(torch.rand(())))
    statistics = replace(collect_statistics(model, rows), angles=ANGLES)
    scores = all_scores(model, "cfsp-rel", Calibration(rows, statistics), lambda _: None)
    cuts = {}
    for contrast in CONTRASTS:
        widths = allocate(ffn_budget(model), 0.3, coarse_importance(ANGLES, contrast), 1)
        kept = tuple(top(score, width) for score, width in zip(scores, widths, strict=True))
        cuts[tuple(widths)] = replace(whole(model), neurons=kept)
    assert len(cuts) == len(CONTRASTS)
    with torch.inference_mode():
        losses = {widths: loss(cut_out(model, cut).model, rows).item() for widths, cut in cuts.items()}
        for widths, lost in losses.items():
            assert _loss_with(model, rows, list(cuts[widths].neurons)) == pytest.approx(lost, rel=1e-5)
    chosen = choose_cut(model, PRUNING, Calibration(rows, statistics))
    assert tuple(map(len, chosen.neurons)) == min(losses, key=lambda widths: losses[widths])


@pytest.mark.parametrize(
    ("pruning", "contrast"),
    [(replace(PRUNING, method="cfsp"), 1.5), (replace(PRUNING, refit=True), 13.1), (Pruning("magnitude", 0.3, 1), 0.0)],
)
def test_other_methods_contrast_is_the_published_codes_the_papers_or_none(pruning: Pruning, contrast: float) -> None:
    model, rows = tiny_model(layers=3), random_rows(4, 32)
    statistics = replace(collect_statistics(model, rows), angles=ANGLES, tokens=15_000)
    expected = allocate(ffn_budget(model), 0.3, coarse_importance(ANGLES, contrast), 1)
    assert [len(kept) for kept in choose_cut(model, pruning, Calibration(rows, statistics)).neurons] == expected


def test_trying_contrasts_leaves_the_model_as_it_was() -> None:
    model, rows = tiny_model(), random_rows()
    before = loss(model, rows).item()
    choose_cut(model, PRUNING, Calibration(rows, collect_statistics(model, rows)))
    assert loss(model, rows).item() == before
