"""Our scorer beside EleutherAI's harness, with its own model class and with our adapter; offline."""

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import NoReturn

import pytest
from tokenizers.processors import TemplateProcessing

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.load import load
from espalier_builder.cli import run
from espalier_builder.tasks.answers import Answers, ScoredTask
from espalier_builder.tasks.questions import read_questions
from espalier_builder.tasks.score import by_pytorch
from random_decoder import save_checkpoint

pytest.importorskip("lm_eval", reason="needs espalier-builder[lm-eval]; make bench-lm-eval runs these")

from espalier_builder.tasks.harness import HarnessTask, multiple_choice, put

CONTEXT = 40
QUESTIONS = [
    {"id": "a", "query": "The cat sat on the", "choices": ["mat", "long table", "sky"], "gold": 0},
    {"query": "Question: What is wet?", "choices": ["water", "a stone"], "gold": 0},
    {"query": "It was so late that  ", "choices": ["she slept.", " he ran away."], "gold": 1},
    {"query": "<s>Marked as a beginning, so", "choices": ["go on", "stop"], "gold": 0},
    # More characters than bytes would say, and a text beyond the context.
    {
        "query": "A caf\u00e9 that is open until very late in the night has",
        "choices": ["\u00e9\u00e9\u00e9", "tea now"],
        "gold": 0,
    },
    {"query": "7", "choices": ["8", "9", "10", "11"], "gold": 2},
]


@pytest.fixture(autouse=True)
def _no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> NoReturn:
        raise AssertionError("the network was asked")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def task_file(tmp_path: Path) -> Path:
    file = tmp_path / "task.jsonl"
    file.write_text("\n".join(json.dumps(each) for each in QUESTIONS) + "\n\n")
    return file


@pytest.fixture(params=[False, True], ids=["unmarked", "marked"])
def checkpoint(request: pytest.FixtureRequest, tmp_path: Path) -> Checkpoint:
    """A random model whose tokenizer sets no mark before a text, or one."""
    found = load(save_checkpoint(tmp_path / "model"))
    if request.param:
        marked = TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
        found.tokenizer.backend_tokenizer.post_processor = marked
    return found


def ours(checkpoint: Checkpoint, file: Path) -> Answers:
    return ScoredTask(file, None, checkpoint.tokenizer, CONTEXT).ask(by_pytorch(checkpoint.model), lambda _: None)


def require_equal(found: Answers, expected: Answers) -> None:
    assert found.right == expected.right
    for row, reference in zip(found.likelihoods, expected.likelihoods, strict=True):
        assert row == pytest.approx(reference, abs=1e-4)


def test_the_harness_with_its_own_model_class_answers_as_our_scorer_does(
    checkpoint: Checkpoint, task_file: Path
) -> None:
    pytest.importorskip("accelerate", reason="lm-eval's own model class needs lm_eval[hf]")
    from lm_eval.models.huggingface import HFLM

    model = HFLM(
        pretrained=checkpoint.model, tokenizer=checkpoint.tokenizer, device="cpu", batch_size=3, max_length=CONTEXT
    )
    require_equal(put(multiple_choice("task", read_questions(task_file)), model), ours(checkpoint, task_file))


def test_the_harness_with_our_adapter_answers_as_our_scorer_does(checkpoint: Checkpoint, task_file: Path) -> None:
    task = HarnessTask(task_file, None, checkpoint.tokenizer, CONTEXT)
    require_equal(task.ask(by_pytorch(checkpoint.model), lambda _: None), ours(checkpoint, task_file))


def test_the_command_tells_the_same_rows_through_the_harness(
    task_file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, recipe, text = save_checkpoint(tmp_path / "model"), tmp_path / "recipe.json", tmp_path / "text.txt"
    stored = {"method": "rtn", "bits": 4, "blockSize": 32, "symmetric": True, "accuracyLevel": 4}
    recipe.write_text(json.dumps({"schemaVersion": 1, "pruning": {"method": "none"}, "quantization": stored}))
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20)
    common = ["--model", str(model), "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    built = ["--recipe", str(recipe), "--eval", str(text), "--eval-tokens", "200", "--out", str(tmp_path / "variant")]
    assert run(["build", *common, *built]) == 0
    capsys.readouterr()
    rows = {}
    for through in ("espalier", "lm-eval"):
        asked = ["--variant", str(tmp_path / "variant"), "--task", str(task_file), "--through", through]
        assert run(["tasks", *common, *asked, "--out", str(tmp_path / "answers.json")]) == 0
        rows[through] = json.loads(capsys.readouterr().out)["rows"]
    assert rows["espalier"] == rows["lm-eval"]
    kept = json.loads((tmp_path / "answers.json").read_text())["answers"]
    assert len(kept) == 4


def test_answers_to_a_file_whose_right_choices_were_mended_are_not_those_that_were_kept(
    checkpoint: Checkpoint, task_file: Path
) -> None:
    before = HarnessTask(task_file, None, checkpoint.tokenizer, CONTEXT).identity
    mended = [{**each, "gold": 1} for each in QUESTIONS]
    task_file.write_text("\n".join(json.dumps(each) for each in mended))
    assert HarnessTask(task_file, None, checkpoint.tokenizer, CONTEXT).identity != before
