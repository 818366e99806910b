"""`prune` and `compare`: checkpoints that others can read, and a table that goes on where it stopped."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import LlamaForCausalLM

from espalier_builder.checkpoint.decoder import ffn_widths
from espalier_builder.checkpoint.load import load
from espalier_builder.cli import run
from espalier_builder.compare import Comparison, Recovery, compare
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.failure import BuilderError
from espalier_builder.recover.finetune import FineTuning
from espalier_builder.stages.cache import StageCache
from espalier_builder.text.windows import document_windows
from random_decoder import save_checkpoint
from tiny_llama import random_rows, tiny_checkpoint

DOCUMENTS = ["the quick brown fox jumps over the lazy dog", "she sells sea shells", "a b c"]


def comparison(methods: tuple[str, ...], sparsities: tuple[float, ...] = (0.2,)) -> Comparison:
    checkpoint = tiny_checkpoint()
    windows = document_windows(checkpoint.tokenizer, DOCUMENTS, length=16)
    return Comparison(checkpoint, "sha256:tiny", methods, sparsities, 8, random_rows(), 0, windows)


def test_a_table_has_floors_and_every_method_at_every_sparsity(tmp_path: Path) -> None:
    table = compare(comparison(("cfsp-rel+refit", "tail"), (0.1, 0.3)), StageCache(tmp_path / "c"), tmp_path / "t.json")
    rows = {(row["method"], row["sparsity"]): row for row in table["rows"]}
    names = ("cfsp-rel+refit", "tail", "random", "magnitude")
    assert set(rows) == {("dense", 0.0)} | {(name, share) for name in names for share in (0.1, 0.3)}
    assert rows["dense", 0.0]["agreement"] == 1
    for (name, share), row in rows.items():
        if name not in ("dense", "tail"):
            assert share <= row["achievedSparsity"] < share + 0.05
            assert row["kl"] > 0
    fields = "method sparsity achievedSparsity parameters perplexity bitsPerByte agreement kl seconds peakMemoryBytes"
    assert all(set(fields.split()) <= row.keys() for row in rows.values() if row["method"] != "tail")
    assert json.loads((tmp_path / "t.json").read_text()) == table


def test_an_interrupted_comparison_goes_on_without_measuring_twice(tmp_path: Path) -> None:
    file, cache = tmp_path / "t.json", StageCache(tmp_path / "c")
    compare(comparison(("cfsp",)), cache, file)
    table = json.loads(file.read_text())
    kept = [row | {"seconds": -1} for row in table["rows"][:2]]
    file.write_text(json.dumps(table | {"rows": kept}))
    again = compare(comparison(("cfsp",)), cache, file)
    assert again["rows"][:2] == kept
    assert {row["method"] for row in again["rows"][2:]} == {"random", "magnitude"}


def test_rows_of_another_protocol_are_not_mixed_in(tmp_path: Path) -> None:
    file, cache = tmp_path / "t.json", StageCache(tmp_path / "c")
    file.write_text(json.dumps({"protocol": comparison(()).protocol() | {"seed": 7}, "rows": []}))
    with pytest.raises(BuilderError, match="seed") as caught:
        compare(comparison(()), cache, file)
    assert caught.value.code == "COMPARISON_DIFFERS"


def test_a_method_that_cannot_be_applied_is_a_row_with_the_reason(tmp_path: Path) -> None:
    table = compare(comparison(("cfsp",), (0.9,)), StageCache(tmp_path / "c"), tmp_path / "t.json")
    assert all("BUDGET_IMPOSSIBLE" in row["error"] for row in table["rows"][1:])


def test_recovery_trains_every_pruned_model_and_refuses_masks(tmp_path: Path) -> None:
    rows = (torch.arange(32)[None] + torch.arange(12)[:, None]) % 11 + 3
    settings = FineTuning(kind="full", learning_rate=1e-3, steps=30, batch_rows=2, check_every=10)
    recovery = Recovery(settings, rows[:-2], rows[-2:])
    cache = StageCache(tmp_path / "c")
    plain = compare(comparison(("cfsp", "wanda")), cache, tmp_path / "plain.json")
    trained = compare(replace(comparison(("cfsp", "wanda")), recovery=recovery), cache, tmp_path / "trained.json")
    before = {row["method"]: row for row in plain["rows"]}
    after = {row["method"]: row for row in trained["rows"]}
    for method in ("cfsp", "random", "magnitude"):
        assert after[method]["achievedSparsity"] == before[method]["achievedSparsity"]
        assert after[method]["heldOutLoss"]["after"] < after[method]["heldOutLoss"]["before"]
        assert after[method]["trainedParameters"] > 0
    assert after["cfsp"]["kl"] != before["cfsp"]["kl"]
    assert "RECOVERY_FILLS_MASK" in after["wanda"]["error"]
    with pytest.raises(BuilderError, match="recovery"):
        compare(comparison(("cfsp", "wanda")), cache, tmp_path / "trained.json")


def test_documents_are_scored_apart_and_every_token_once() -> None:
    checkpoint = tiny_checkpoint()
    windows = document_windows(checkpoint.tokenizer, DOCUMENTS, length=16)
    assert windows.text_bytes == sum(len(text) for text in DOCUMENTS)
    nll = 0.0
    for text in DOCUMENTS:
        ids = [1, *checkpoint.tokenizer(text, add_special_tokens=False).input_ids]
        for start in range(0, len(ids) - 1, 16):
            target = torch.tensor(ids[start + 1 : start + 17])
            logits = checkpoint.model(torch.tensor([ids[start : start + len(target)]])).logits[0]
            nll += torch.nn.functional.cross_entropy(logits, target, reduction="sum").item()
    mine = sum(
        torch.nn.functional.cross_entropy(
            scored_logits(checkpoint.model, window), window.targets, reduction="sum"
        ).item()
        for window in windows.windows
    )
    assert mine == pytest.approx(nll, rel=1e-4)


def test_the_command_writes_a_checkpoint_that_transformers_reads(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    text, recipe, out = tmp_path / "text.txt", tmp_path / "recipe.json", tmp_path / "out"
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20)
    pruning = {"method": "tail", "sparsity": 0.4}
    recipe.write_text(json.dumps({"schemaVersion": 1, "pruning": pruning, "quantization": {"method": "none"}}))
    options = ["--model", str(save_checkpoint(tmp_path / "model")), "--cache", str(tmp_path / "cache")]
    options += ["--calibration", str(text), "--calibration-tokens", "256", "--sequence-length", "32"]
    assert run(["prune", *options, "--recipe", str(recipe), "--out", str(out)]) == 0
    said = json.loads(capsys.readouterr().out)
    assert ffn_widths(load(out).model) == said["ffnWidths"] == [160]
    loaded = LlamaForCausalLM.from_pretrained(str(out))
    tokens = torch.tensor([[5, 6, 7]])
    assert torch.allclose(loaded(tokens).logits, load(out).model(tokens).logits, atol=1e-5)

    table = tmp_path / "table.json"
    budgets = ["--methods", "cfsp", "--sparsity", "0.2", "--alignment", "8", "--eval", str(text)]
    assert run(["compare", *options, *budgets, "--out", str(table)]) == 0
    assert len(json.loads(capsys.readouterr().out)["rows"]) == 4
    assert run(["compare", *options, *budgets, "--fp32", "--out", str(table)]) == 1
    assert "different: calibrationPrecision" in capsys.readouterr().err
    assert run(["compare", *options, *budgets, "--fp32", "--out", str(tmp_path / "exact.json")]) == 0
    assert json.loads(capsys.readouterr().out)["protocol"]["calibrationPrecision"] == "fp32"
    trained = ["--recovery", "lora", "--recovery-steps", "2", "--out", str(tmp_path / "trained.json")]
    assert run(["compare", *options, *budgets, *trained]) == 1
    assert "TEXT_TOO_SHORT" in capsys.readouterr().err
    documents = tmp_path / "documents.jsonl"
    documents.write_text("".join(json.dumps({"text": text * 9}) + "\n" for text in DOCUMENTS * 8))
    assert run(["compare", *options, "--calibration", str(documents), *budgets, *trained]) == 0
    assert all("trainedParameters" in row for row in json.loads(capsys.readouterr().out)["rows"][1:])
    assert run(["compare", *options, "--methods", "fly", *budgets[2:], "--out", str(table)]) == 1
    assert "METHOD_UNKNOWN" in capsys.readouterr().err
