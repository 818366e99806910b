"""What a stage's key holds: all that determines its result, and all code that makes it."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

import pytest
import torch

from espalier_builder.contracts import MixedBits, Pruning, Quantization, Recipe
from espalier_builder.prune.precision import fp32_only
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.quantize import qat
from espalier_builder.quantize.model import dequantized
from espalier_builder.quantize.weight_format import variant_formats
from espalier_builder.recover.finetune import Schedule
from espalier_builder.stages import code_version
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import evaluation_windows
from tiny_llama import random_rows, tiny_checkpoint, tiny_model

TEXT = ["the quick brown fox jumps over the lazy dog. " * 8, "a small fox sat, and sat. " * 8]
# They say which stages there are and change no result.
AROUND = {f"espalier_builder.stages.{name}" for name in ("cache", "code_version", "cost", "fitting_batches")}
AROUND |= {f"espalier_builder.stages.{name}_stages" for name in ("dense", "pruning", "quantizing")}
AROUND.add("espalier_builder.artifact.work_folder")


class Watched(ModelStages):
    """Stages that note which of the builder's modules run while they are made, and which count in their keys."""

    def __init__(self, folder: Path) -> None:
        super().__init__(StageCache(folder), DenseModel(tiny_model(), "sha256:tiny"))
        self.ran: dict[str, set[str]] = {}
        self.counted: dict[str, set[str]] = {}

    def _run(
        self, stage: str, inputs: dict[str, Any], code: tuple[ModuleType, ...], make: Callable[[Path], None]
    ) -> Path:
        ran = self.ran.setdefault(stage, set())

        def note(frame: FrameType, event: str, _: object) -> None:
            name = frame.f_globals.get("__name__", "")
            if event == "call" and name.startswith("espalier_builder."):
                ran.add(name)

        def watched(folder: Path) -> None:
            before = sys.getprofile()
            sys.setprofile(note)
            try:
                make(folder)
            finally:
                sys.setprofile(before)

        self.counted.setdefault(stage, set()).update(modules_read(code))
        return super()._run(stage, inputs, code, watched)


def modules_read(code: tuple[ModuleType, ...]) -> set[str]:
    """The modules whose sources `code_version` looks at."""
    seen: set[str] = set()

    def getsource(module: ModuleType) -> str:
        seen.add(module.__name__)
        return inspect.getsource(module)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(code_version, "inspect", type("Inspect", (), {"getsource": staticmethod(getsource)}))
        code_version.code_version(*code)
    return seen


def test_all_code_that_makes_a_stage_counts_in_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(qat, "SCHEDULE", Schedule(steps=2, batch_rows=4, check_every=1))
    rows = calibration_rows(tiny_checkpoint().tokenizer, TEXT, length=32, tokens=256, seed=0)
    stages = Watched(tmp_path)
    stages.dense_logits(evaluation_windows(tiny_checkpoint().tokenizer, TEXT, length=32, tokens=64))
    for recipe in (
        Recipe(Pruning("obs", 0.2, alignment=8), Quantization("awq-gptq", 4, 32), "int8"),
        Recipe(Pruning("flap", 0.2, alignment=8, refit="one-pass"), Quantization("qat", 4, 32)),
        Recipe(Pruning("minillm-gate", 0.2, alignment=8), Quantization("rtn", 4, 32)),
        Recipe(Pruning("sparsegpt", 0.5), Quantization("gptq", MixedBits(6.0), 32)),
    ):
        pruned = stages.pruned(recipe.pruning, stages.calibration(rows, seed=0)).model
        made = stages.quantized(pruned, recipe, lambda: rows, 0)
        if recipe.kv_cache is not None:
            formats = variant_formats(made.formats, pruned.config.hidden_size)
            stages.kv_scales(dequantized(made.scaled(pruned), formats, made.matrices), recipe, rows, 0)
    missing = {stage: sorted(ran - stages.counted[stage] - AROUND) for stage, ran in stages.ran.items()}
    assert set(missing) == {
        *("dense-logits", "statistics", "harm", "grams", "estimate", "cut"),
        *("sensitivity", "quantize", "train", "kv-cache"),
    }
    assert not any(missing.values()), missing


def test_what_other_seeds_prune_to_is_measured_anew(tmp_path: Path) -> None:
    dense, rows = tiny_model(), random_rows()
    recipe = Recipe(Pruning("random", 0.3, alignment=8), Quantization("gptq", MixedBits(6.0), 32))
    for seed in (0, 1):
        stages = ModelStages(StageCache(tmp_path), DenseModel(dense, "sha256:tiny"))
        pruned = stages.pruned(recipe.pruning, stages.calibration(rows, seed)).model
        stages.quantized(pruned, recipe, lambda: rows, seed)
        assert [stage for stage, cost in stages.costs if cost.cached] == ["statistics"] * seed


def test_gradients_are_estimated_once_for_all_sparsities_and_ways_to_refit(tmp_path: Path) -> None:
    stages = ModelStages(StageCache(tmp_path), DenseModel(tiny_model(), "sha256:tiny"))
    rows = random_rows()
    for sparsity, refit in ((0.2, False), (0.3, False), (0.3, True)):
        stages.pruned(Pruning("minillm-gate", sparsity, 8, refit), stages.calibration(rows, seed=0))
    assert [cost.cached for stage, cost in stages.costs if stage == "estimate"] == [False, True, True]
    assert [cost.cached for stage, cost in stages.costs if stage == "cut"] == [False, False, False]


def test_in_fp32_only_nothing_is_served_that_bfloat16_was_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)
    rows, cache = random_rows(), StageCache(tmp_path)
    found = []
    for precision in (nullcontext, fp32_only):
        with precision():
            stages = ModelStages(cache, DenseModel(tiny_model(), "sha256:tiny"))
            found.append(stages.calibration(rows, seed=0).statistics.activation_norms[0])
            assert not stages.costs[0][1].cached
    assert torch.equal(found[1], collect_statistics(tiny_model(), rows, bf16=False).activation_norms[0])
    assert not torch.equal(*found)
