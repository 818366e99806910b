"""The stage cache, and the sensitivity job on top of it."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from espalier_builder.artifact.report import EvaluationText
from espalier_builder.artifact.work_folder import work_folder
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import Pruning, Quantization, Recipe, digest_of_bytes, recipe_digest
from espalier_builder.evaluate.model import evaluate_model
from espalier_builder.failure import machine_failure
from espalier_builder.prune.apply import prune
from espalier_builder.prune.decoder import BATCH_TOKENS
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.precision import calibrates_in_bf16
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.sensitivity import SensitivityRequest, run_sensitivity
from espalier_builder.stages import pruning_stages
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.fitting_batches import in_batches_that_fit
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import evaluation_windows
from tiny_llama import tiny_checkpoint, tiny_model

TEXT = ["the quick brown fox jumps over the lazy dog. " * 8, "a small fox sat, and sat. " * 8]


def test_a_stage_is_made_once_per_inputs_and_version(tmp_path: Path) -> None:
    made: list[str] = []

    def make(folder: Path) -> None:
        made.append(folder.name)
        (folder / "result").write_text(str(len(made)))

    cache = StageCache(tmp_path)
    first = cache.run("stage", {"x": 1, "y": 2}, "v1", make)
    second = StageCache(tmp_path).run("stage", {"y": 2, "x": 1}, "v1", make)
    assert (first.cost.cached, second.cost.cached) == (False, True)
    assert first.folder == second.folder
    assert second.cost.seconds == first.cost.seconds
    cache.run("stage", {"x": 1, "y": 3}, "v1", make)
    cache.run("stage", {"x": 1, "y": 2}, "v2", make)
    assert len(made) == 3


def test_a_failed_stage_leaves_nothing(tmp_path: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").write_text("half")
        raise RuntimeError("out of luck")

    cache = StageCache(tmp_path)
    with pytest.raises(RuntimeError, match="luck"):
        cache.run("stage", {}, "v1", fail)
    assert [path.name for path in tmp_path.rglob("*")] == ["unfinished"]


def test_a_stage_killed_midway_is_made_again(tmp_path: Path) -> None:
    script = """
import os, signal, sys
from pathlib import Path
from espalier_builder.stages.cache import StageCache

def make(folder):
    (folder / "result").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)

StageCache(Path(sys.argv[1])).run("stage", {}, "v1", make)
"""
    ended = subprocess.run([sys.executable, "-c", script, str(tmp_path)], env=os.environ, check=False)  # noqa: S603
    assert ended.returncode == -9
    assert len(list((tmp_path / "unfinished").iterdir())) == 1
    result = StageCache(tmp_path).run("stage", {}, "v1", lambda folder: (folder / "result").write_text("whole"))
    assert (result.folder / "result").read_text() == "whole"
    assert not result.cost.cached
    assert list((tmp_path / "unfinished").iterdir()) == []


def test_what_another_process_works_in_is_not_taken_for_left_over(tmp_path: Path) -> None:
    with work_folder(tmp_path, "stage-") as first:
        (first / "result").write_text("half")
        with work_folder(tmp_path, "stage-") as second:
            assert first != second
        assert (first / "result").read_text() == "half"
        first.rename(tmp_path / "final")
    assert [path.name for path in tmp_path.iterdir()] == ["final"]


class SmallGpu:
    """Stands in for a GPU that holds so many tokens at once: tests have none, and none that is always too small."""

    def __init__(self, tokens: int) -> None:
        self.tokens = tokens
        self.tried: list[int] = []

    def work(self) -> str:
        self.tried.append(BATCH_TOKENS.get())
        if self.tried[-1] > self.tokens:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nmore words")
        return "done"


def test_work_that_exceeds_the_gpu_is_done_again_in_smaller_batches() -> None:
    gpu = SmallGpu(tokens=300)
    assert in_batches_that_fit(gpu.work) == "done"
    assert gpu.tried == [4096, 1024, 256]
    assert BATCH_TOKENS.get() == 4096


def test_a_gpu_on_which_nothing_fits_is_a_clear_failure(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    gpu = SmallGpu(tokens=1)
    monkeypatch.setattr(pruning_stages, "collect_statistics", lambda *_, **__: gpu.work())
    asked = request(())
    with pytest.raises(torch.OutOfMemoryError) as caught:
        ModelStages(StageCache(tmp_path), DenseModel(asked.checkpoint.model, asked.model_digest)).calibration(
            asked.rows, 0
        )
    assert gpu.tried == [4096, 1024, 256, 64]
    assert [path.name for path in tmp_path.rglob("*")] == ["unfinished"]
    failure = machine_failure(caught.value)
    assert failure is not None
    assert failure.code == "OUT_OF_MEMORY"
    assert "Tried to allocate 2.00 GiB." in str(failure)
    assert machine_failure(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


def test_smaller_batches_give_the_same_statistics() -> None:
    asked = request(())
    whole = collect_statistics(asked.checkpoint.model, asked.rows)
    token = BATCH_TOKENS.set(32)
    try:
        parts = collect_statistics(asked.checkpoint.model, asked.rows)
    finally:
        BATCH_TOKENS.reset(token)
    assert torch.allclose(torch.stack(parts.activation_norms), torch.stack(whole.activation_norms), rtol=1e-5)


def request(candidates: tuple[Recipe, ...]) -> SensitivityRequest:
    checkpoint = tiny_checkpoint()
    return SensitivityRequest(
        checkpoint=checkpoint,
        model_digest=digest_of_bytes(b"tiny"),
        candidates=candidates,
        rows=calibration_rows(checkpoint.tokenizer, TEXT, length=32, tokens=512, seed=0),
        evaluation=EvaluationText(
            evaluation_windows(checkpoint.tokenizer, TEXT, length=32, tokens=300), digest=None, given=True
        ),
    )


def test_another_model_is_not_served_what_was_made_of_the_first(tmp_path: Path) -> None:
    tokenizer = tiny_checkpoint().tokenizer
    rows = calibration_rows(tokenizer, TEXT, length=32, tokens=256, seed=0)
    windows = evaluation_windows(tokenizer, TEXT, length=32, tokens=64)

    def made(model: DecoderModel, digest: str, cache: Path) -> list[Tensor]:
        stages = ModelStages(StageCache(cache), DenseModel(model, digest))
        pruning = Pruning("cfsp-rel", 0.2, alignment=8, refit="sequential")
        pruned = stages.pruned(pruning, stages.calibration(rows, seed=0)).model
        return [*pruned.state_dict().values(), stages.dense_logits(windows).of(0)]

    made(tiny_model(seed=0), "sha256:one", tmp_path / "shared")
    served = made(tiny_model(seed=1), "sha256:other", tmp_path / "shared")
    alone = made(tiny_model(seed=1), "sha256:other", tmp_path / "own")
    assert all(torch.equal(*pair) for pair in zip(served, alone, strict=True))


def test_sensitivity_reports_each_candidate_and_rejects_the_impossible(tmp_path: Path) -> None:
    eight = Quantization("rtn", 8, 32, True, 4)
    dense, refitted = Recipe(), Recipe(Pruning("cfsp-rel", 0.3, 8, True))
    candidates = (
        dense,
        Recipe(Pruning(), eight),
        Recipe(Pruning("cfsp-rel", 0.69, 8, True), eight),
        refitted,
        Recipe(Pruning("tail", 0.3), eight),
        dense,
    )
    asked = request(candidates)
    shares: list[float] = []
    report = run_sensitivity(asked, StageCache(tmp_path), lambda share, _doing: shares.append(share))

    by_digest = {entry["recipeDigest"]: entry for entry in report["candidates"]}
    assert len(report["candidates"]) == 4
    assert [entry["recipe"]["pruning"]["sparsity"] for entry in report["rejected"]] == [0.69]
    assert report["rejected"][0]["reason"].startswith("BUDGET_IMPOSSIBLE")
    assert shares == sorted(shares)
    assert shares[-1] == 1.0

    untouched = by_digest[recipe_digest(dense)]["quality"]
    assert (untouched["kl"], untouched["agreement"]) == (0.0, 1.0)
    assert untouched["perplexity"] == report["dense"]["perplexity"]
    assert 0 < by_digest[recipe_digest(candidates[1])]["quality"]["kl"] < 0.1
    shape = by_digest[recipe_digest(candidates[4])]["shape"]
    assert len(shape["layers"]) == 2

    # The same figures without cache or grouping.
    model = asked.checkpoint.model
    calibration = Calibration(asked.rows, collect_statistics(model, asked.rows, bf16=calibrates_in_bf16(model.device)))
    pruned = prune(model, refitted.pruning, calibration).model

    class Dense:
        def of(self, window: int) -> torch.Tensor:
            chosen = asked.evaluation.windows.windows[window]
            logits: torch.Tensor = model(chosen.inputs[None]).logits[0, chosen.positions]
            return logits

    expected = evaluate_model(pruned, asked.evaluation.windows, Dense())
    found = by_digest[recipe_digest(refitted)]["quality"]
    assert found["kl"] == pytest.approx(expected.kl, rel=1e-4)
    assert found["perplexity"] == pytest.approx(expected.perplexity, rel=1e-5)


def test_sensitivity_tells_each_slice_beside_the_dense_model(tmp_path: Path) -> None:
    asked = request((Recipe(Pruning("cfsp-rel", 0.3, 8, True)), Recipe()))
    texts = ["the quick brown fox jumps over the lazy dog. " * 2, "a small fox sat, and sat. " * 2] * 4
    windows = evaluation_windows(asked.checkpoint.tokenizer, texts, length=32, tokens=300, slices=["prose", "code"] * 4)
    report = run_sensitivity(
        replace(asked, evaluation=replace(asked.evaluation, windows=windows)), StageCache(tmp_path)
    )
    pruned, dense = (entry["slices"] for entry in report["candidates"])
    assert [part["name"] for part in pruned] == ["code", "prose"]
    assert sum(part["tokens"] for part in pruned) == windows.tokens
    whole = report["candidates"][0]["quality"]
    weighted = sum(part["tokens"] * part["quality"]["kl"] for part in pruned) / windows.tokens
    assert weighted == pytest.approx(whole["kl"], rel=1e-9)
    assert all(part["logPerplexityHalfWidth"] > 0 for part in pruned)
    for part in dense:
        assert part["quality"] == part["dense"]
        assert (part["quality"]["kl"], part["logPerplexityHalfWidth"]) == (0.0, 0.0)


def test_a_second_job_reuses_the_first_ones_stages(tmp_path: Path) -> None:
    candidates = (Recipe(Pruning("cfsp-rel", 0.3, 8, True)),)
    first = run_sensitivity(request(candidates), StageCache(tmp_path))
    folders = sorted(path.name for path in tmp_path.iterdir())
    second = run_sensitivity(request(candidates), StageCache(tmp_path))
    assert sorted(path.name for path in tmp_path.iterdir()) == folders
    assert [name.split("-")[0] for name in folders] == ["cut", "dense", "statistics", "unfinished"]
    assert second["candidates"][0]["quality"] == first["candidates"][0]["quality"]
