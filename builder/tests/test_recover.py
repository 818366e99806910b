"""Recovery by training: ranks, adapters, early stopping, and that a pruned model gets better."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.checkpoint.load import load
from espalier_builder.cli import run
from espalier_builder.contracts import Pruning, digest_of_bytes
from espalier_builder.failure import BuilderError
from espalier_builder.progress import no_progress
from espalier_builder.prune.apply import prune
from espalier_builder.prune.neurons import Calibration
from espalier_builder.prune.statistics import collect_statistics
from espalier_builder.recover.finetune import FineTuning, Recovered, divergence, fine_tune, held_out_loss
from espalier_builder.recover.iterate import Iteration, iterate, step_sparsity
from espalier_builder.recover.lora import Adapter, attach, layer_ranks, merge
from espalier_builder.recover.recover_job import split_rows
from random_decoder import save_checkpoint
from tiny_llama import random_rows, tiny_checkpoint, tiny_model

IMPORTANCE = [0.9, 0.3, 0.3]
SETTINGS = FineTuning(steps=12, batch_rows=4, check_every=4, mean_rank=4, learning_rate=1e-2)


def test_ranks_go_with_importance_or_against_it_at_the_same_sum() -> None:
    assert layer_ranks(IMPORTANCE, 4, "uniform") == [4, 4, 4]
    assert layer_ranks(IMPORTANCE, 5, "importance") == [9, 3, 3]
    inverse = layer_ranks(IMPORTANCE, 4, "inverse")
    assert sum(inverse) == 12
    assert inverse[0] < inverse[1]
    assert min(layer_ranks([1.0, 1e-9, 1e-9], 1, "importance")) == 1


def test_adapters_change_nothing_at_first_and_merge_exactly() -> None:
    model, rows = tiny_model(), random_rows()
    expected = model(rows).logits
    adapters = attach(model, [1, 2, 3], seed=0)
    assert len(adapters) == 3 * 7
    assert torch.equal(model(rows).logits, expected)
    for adapter in adapters:
        torch.nn.init.normal_(adapter.b, std=0.1)
    trained = model(rows).logits
    merge(model)
    assert not any(isinstance(module, Adapter) for module in model.modules())
    assert torch.allclose(model(rows).logits, trained, atol=1e-4)


@pytest.mark.parametrize("kind", ["lora", "full"])
def test_distillation_brings_a_pruned_model_closer_to_the_dense_one(kind: str) -> None:
    dense, rows = tiny_model(), random_rows(24)
    pruned = prune(dense, Pruning("magnitude", 0.3, 8), Calibration(rows, collect_statistics(dense, rows))).model
    before = {name: value.clone() for name, value in pruned.state_dict().items()}
    settings = replace(SETTINGS, kind=kind, distil=True, steps=30, patience=99)  # type: ignore[arg-type]
    recovered = fine_tune(pruned, dense, rows, rows, IMPORTANCE, settings)

    assert divergence(recovered.model, dense, rows) < divergence(pruned, dense, rows)
    assert all(torch.equal(value, pruned.state_dict()[name]) for name, value in before.items())
    assert recovered.model.state_dict().keys() == before.keys()


def test_training_stops_where_held_out_text_no_longer_gains_and_keeps_the_best() -> None:
    """Random rows hold nothing that carries over: what is learned of some makes the others worse."""
    model, rows = tiny_model(), random_rows(12)
    settings = replace(SETTINGS, steps=400, patience=2, learning_rate=3e-2, kind="full")
    recovered = fine_tune(model, None, rows[:4], rows[4:], IMPORTANCE, settings)
    losses = [point.held_out_loss for point in recovered.curve]
    assert recovered.curve[-1].step < 400
    assert held_out_loss(recovered.model, rows[4:]) == pytest.approx(min(losses), rel=1e-5)


def test_the_same_seed_trains_the_same_model() -> None:
    first, second = (
        fine_tune(tiny_model(), None, random_rows(8), random_rows(4, seed=1), IMPORTANCE, SETTINGS) for _ in range(2)
    )
    assert first.curve == second.curve
    assert all(torch.equal(a, b) for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True))


def test_what_is_held_out_is_of_documents_that_training_never_sees() -> None:
    documents = ["a" * 50] * 18 + ["b" * 50] * 2
    training, held_out = split_rows(tiny_checkpoint(), documents, SETTINGS, 16)
    # Letters have the tokens 3, 4, ..; 1 opens a document.
    assert set(training.flatten().tolist()) == {1, 3}
    assert set(held_out.flatten().tolist()) == {1, 4}


def test_what_distillation_lowers_is_the_divergence_of_next_tokens_from_the_teachers() -> None:
    model, teacher, rows = tiny_model(), tiny_model(seed=1), random_rows(3)
    p, q = (each(rows).logits[:, :-1].double().softmax(-1) for each in (teacher, model))
    expected = (p * (p / q).log()).sum(-1).mean()
    assert divergence(model, teacher, rows).item() == pytest.approx(expected.item(), rel=1e-4)
    text = model(rows).logits[:, :-1].log_softmax(-1).gather(-1, rows[:, 1:, None])
    assert held_out_loss(model, rows) == pytest.approx(-text.mean().item(), rel=1e-5)


def test_distillation_without_a_teacher_is_refused() -> None:
    with pytest.raises(BuilderError, match="--dense") as caught:
        fine_tune(tiny_model(), None, random_rows(), random_rows(), IMPORTANCE, replace(SETTINGS, distil=True))
    assert caught.value.code == "DENSE_MISSING"


def test_training_that_diverges_is_refused() -> None:
    with pytest.raises(BuilderError, match="lower learning rate") as caught:
        fine_tune(
            tiny_model(),
            None,
            random_rows(),
            random_rows(),
            IMPORTANCE,
            replace(SETTINGS, kind="full", learning_rate=1e30),
        )
    assert caught.value.code == "TRAINING_DIVERGED"


def test_the_command_writes_a_trained_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = tmp_path / "text.jsonl"
    line = json.dumps({"text": "the quick brown fox jumps over the lazy dog. " * 4})
    text.write_text("\n".join([line] * 10))
    model, out = save_checkpoint(tmp_path / "model"), tmp_path / "out"
    options = ["--model", str(model), "--dense", str(model), "--text", str(text), "--cache", str(tmp_path / "cache")]
    options += ["--steps", "6", "--sequence-length", "32", "--out", str(out)]
    assert run(["recover", *options, "--train", "full"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["heldOutLoss"]["after"] < said["heldOutLoss"]["before"]
    assert load(out).model.config.num_hidden_layers == 2


def test_a_checkpoint_that_a_mask_thinned_is_not_filled_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, recipe, masked = tmp_path / "text.txt", tmp_path / "recipe.json", tmp_path / "masked"
    text.write_text("the quick brown fox jumps over the lazy dog. " * 40)
    model, cache = save_checkpoint(tmp_path / "model"), ["--cache", str(tmp_path / "cache")]

    def prune(source: Path, pruning: dict[str, object], out: Path) -> None:
        recipe.write_text(json.dumps({"schemaVersion": 1, "pruning": pruning, "quantization": {"method": "none"}}))
        calibration = ["--calibration", str(text), "--calibration-tokens", "256", "--sequence-length", "32"]
        named = ["--model", str(source), "--recipe", str(recipe), "--out", str(out)]
        assert run(["prune", *named, *calibration, *cache]) == 0

    prune(model, {"method": "wanda", "sparsity": 0.5, "pattern": "free"}, masked)
    prune(masked, {"method": "magnitude", "sparsity": 0.1, "alignment": 8, "refit": False}, tmp_path / "narrower")
    for folder in (masked, tmp_path / "narrower"):
        named = ["--model", str(folder), "--text", str(text), "--sequence-length", "32", *cache]
        for command in (["recover"], ["iterate", "--method", "obs", "--sparsity", "0.2"]):
            capsys.readouterr()
            assert run([*command, *named, "--out", str(tmp_path / "out")]) == 1
            assert (
                "RECOVERY_FILLS_MASK: training would move the weights that wanda made zero" in capsys.readouterr().err
            )


def iteration(**changes: object) -> Iteration:
    training = FineTuning(steps=4, batch_rows=2, check_every=2, distil=True)
    settings = Iteration("obs", 0.3, 3, "linear", 1e9, 8, training)
    return replace(settings, **changes)  # type: ignore[arg-type]


DOCUMENTS = ["the quick brown fox jumps over the lazy dog and sells sea shells"] * 12


def run_iteration(folder: Path, settings: Iteration, model: str = "tiny") -> dict[str, object]:
    digest = digest_of_bytes(model.encode())
    return iterate(tiny_checkpoint(), digest, DOCUMENTS, settings, 32, folder, no_progress)


def test_steps_approach_the_target_linearly_or_fast_at_first() -> None:
    linear, cubic = iteration(), iteration(schedule="cubic")
    assert [step_sparsity(linear, step) for step in (1, 2, 3)] == pytest.approx([0.1, 0.2, 0.3])
    assert step_sparsity(cubic, 1) > 0.2
    assert step_sparsity(cubic, 3) == pytest.approx(0.3)


def test_a_mask_is_no_method_to_iterate_over_since_training_would_fill_it(tmp_path: Path) -> None:
    with pytest.raises(BuilderError, match="training would move the weights that wanda") as caught:
        run_iteration(tmp_path / "steps", iteration(method="wanda"))
    assert caught.value.code == "RECOVERY_FILLS_MASK"
    assert not (tmp_path / "steps").exists()


def test_an_interrupted_iteration_goes_on_and_ends_with_the_same_model(tmp_path: Path) -> None:
    whole = run_iteration(tmp_path / "whole", iteration())
    run_iteration(tmp_path / "cut", iteration())
    shutil.rmtree(tmp_path / "cut" / "step-3")
    shutil.rmtree(tmp_path / "cut" / "step-2")
    kept = (tmp_path / "cut" / "step-1" / "model.safetensors").stat().st_mtime_ns
    assert run_iteration(tmp_path / "cut", iteration()) == whole
    assert (tmp_path / "cut" / "step-1" / "model.safetensors").stat().st_mtime_ns == kept
    sparsities = [step["sparsity"] for step in whole["steps"]]  # type: ignore[attr-defined]
    assert 0.1 <= sparsities[0] < 0.2 <= sparsities[1] < 0.3 <= sparsities[2] < 0.4
    assert whole["best"] == "step-3"
    held_out = split_rows(tiny_checkpoint(), DOCUMENTS, iteration().training, 32)[1]
    losses = [held_out_loss(each.model, held_out) for each in (load(tmp_path / "whole" / "step-3"), tiny_checkpoint())]
    last = whole["steps"][2]  # type: ignore[index]
    assert last["perplexityRatio"] == pytest.approx(math.exp(losses[0] - losses[1]), rel=1e-4)
    assert last["loss"] < last["lossPruned"]
    with pytest.raises(BuilderError) as caught:
        run_iteration(tmp_path / "cut", iteration(sparsity=0.2))
    assert caught.value.code == "ITERATION_DIFFERS"
    with pytest.raises(BuilderError, match="another model") as caught:
        run_iteration(tmp_path / "cut", iteration(), model="other")
    assert caught.value.code == "ITERATION_DIFFERS"


def test_a_step_that_an_earlier_one_has_overtaken_only_trains(tmp_path: Path) -> None:
    """One of three layers is more than all of the steps ask for."""
    result = run_iteration(tmp_path, iteration(method="tail", sparsity=0.2))
    assert [step["sparsity"] for step in result["steps"]] == pytest.approx([1 / 3] * 3, abs=0.02)  # type: ignore[attr-defined]
    assert result["best"] == "step-3"


def test_the_dense_model_teaches_every_step(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    teachers = list[torch.nn.Module | None]()

    def watched(pruned: DecoderModel, teacher: DecoderModel | None, *others: Any) -> Recovered:
        teachers.append(teacher)
        return fine_tune(pruned, teacher, *others)

    monkeypatch.setattr("espalier_builder.recover.iterate.fine_tune", watched)
    run_iteration(tmp_path, iteration(method="magnitude", steps=2))
    dense = tiny_model().state_dict()
    assert len(teachers) == 2
    for teacher in teachers:
        assert teacher is not None
        assert all(torch.equal(tensor, dense[name]) for name, tensor in teacher.state_dict().items())


def test_an_iteration_stops_at_the_quality_floor(tmp_path: Path) -> None:
    result = run_iteration(tmp_path, iteration(worst_ratio=0.5))
    assert result["best"] is None
    assert len(result["steps"]) == 1  # type: ignore[arg-type]
