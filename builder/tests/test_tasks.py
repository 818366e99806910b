"""Multiple-choice scoring beside the harness's rule written out, and flips beside their textbook variance."""

from __future__ import annotations

import json
import math
import statistics
from pathlib import Path

import pytest
import torch
from tokenizers.processors import TemplateProcessing

from espalier_builder.checkpoint.load import load
from espalier_builder.cli import run
from espalier_builder.failure import BuilderError
from espalier_builder.tasks.flips import Flips, flips
from espalier_builder.tasks.questions import Question, read_questions
from espalier_builder.tasks.run_tasks import TaskRun, run_tasks
from espalier_builder.tasks.score import by_pytorch, chosen, chosen_by_length, encoded, likelihoods
from random_decoder import save_checkpoint

QUESTIONS = [
    Question("The cat sat on the", ("mat", "long table", "sky"), 0),
    Question("Question: What is wet?", ("water", "a stone"), 0),
    Question("It was so late that  ", ("she slept.", "he ran away."), 1),
]


def test_likelihoods_and_choices_are_those_of_the_rule_written_out(tmp_path: Path) -> None:
    checkpoint = load(save_checkpoint(tmp_path))
    model, tokenizer = checkpoint.model, checkpoint.tokenizer
    found = likelihoods(by_pytorch(model), tokenizer, QUESTIONS, 64)
    for question, row in zip(QUESTIONS, found, strict=True):
        expected = []
        for choice in question.choices:
            text = question.query + ("\nAnswer:" if question.query.startswith("Question:") else "") + " " + choice
            ids = tokenizer(text, add_special_tokens=False).input_ids
            # One token a character: the answer begins where the question's last word ends.
            start = len((question.query.rstrip() + "\nAnswer:") if "wet" in text else question.query.rstrip())
            logs = model(torch.tensor([ids])).logits[0].double().log_softmax(-1)
            expected.append(sum(float(logs[at - 1, ids[at]]) for at in range(start, len(ids))))
        assert row == pytest.approx(expected, rel=1e-4)
        assert chosen(row) == expected.index(max(expected))
        by_character = [value / len(choice) for value, choice in zip(expected, question.choices, strict=True)]
        assert chosen_by_length(row, question) == by_character.index(max(by_character))


def test_a_text_beyond_the_context_loses_its_beginning(tmp_path: Path) -> None:
    checkpoint = load(save_checkpoint(tmp_path))
    long = Question("a" * 80 + "b c d", ("e f", "g"), 0)
    short = Question(long.query[-20:], long.choices, 0)
    scorer = by_pytorch(checkpoint.model)
    cut = likelihoods(scorer, checkpoint.tokenizer, [long], 23)
    (inputs, _) = encoded(checkpoint.tokenizer, short.context, " e f")
    assert len(inputs) == 20
    assert cut[0][0] == pytest.approx(likelihoods(scorer, checkpoint.tokenizer, [short], 64)[0][0], rel=1e-5)


def test_a_choice_longer_than_the_context_is_refused_by_its_question(tmp_path: Path) -> None:
    checkpoint = load(save_checkpoint(tmp_path))
    questions = [QUESTIONS[0], Question("Which is it?", ("short", "a choice of many words"), 0)]
    with pytest.raises(BuilderError, match=r"'a choice of many words' of question 2 is 23 tokens.*context of 12"):
        likelihoods(by_pytorch(checkpoint.model), checkpoint.tokenizer, questions, 12)


def test_likelihoods_that_are_no_numbers_are_refused(tmp_path: Path) -> None:
    checkpoint = load(save_checkpoint(tmp_path))

    def broken(_tokens: list[int], positions: list[int]) -> torch.Tensor:
        return torch.full((len(positions), 130), math.nan)

    with pytest.raises(BuilderError, match=r"question 1 .*NaN"):
        likelihoods(broken, checkpoint.tokenizer, QUESTIONS, 64)


def test_a_question_that_writes_its_first_mark_gets_no_second_one(tmp_path: Path) -> None:
    tokenizer = load(save_checkpoint(tmp_path)).tokenizer
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing("<s> $A", special_tokens=[("<s>", 1)])
    assert encoded(tokenizer, "a", " b")[0] == [1, tokenizer.convert_tokens_to_ids("a")]
    assert encoded(tokenizer, "<s>a", " b") == encoded(tokenizer, "a", " b")


def test_flips_are_counted_beside_those_who_kept_their_answer() -> None:
    before, after = [True] * 6 + [False] * 4, [True] * 4 + [False] * 5 + [True]
    found = flips(before, after)
    assert (found.became_wrong, found.became_right) == (2, 1)
    assert found.to_json()["accuracy"] == 0.5
    assert found.change == pytest.approx(-0.1)


def test_the_interval_is_that_of_paired_differences_with_one_more_flip_each_way() -> None:
    found = flips([True] * 6 + [False] * 4, [True] * 4 + [False] * 5 + [True])
    differences = [-1] * 3 + [1] * 2 + [0] * 7
    middle, half = statistics.mean(differences), 1.959964 * math.sqrt(statistics.pvariance(differences) / 12)
    assert found.interval == pytest.approx((middle - half, middle + half))
    # Nothing flipped among few questions: that says little of those that weren't asked.
    low, high = flips([True] * 10, [True] * 10).interval
    assert low == pytest.approx(-high)
    assert high > 0.15


@pytest.mark.parametrize(("wrong", "right"), [(0.0, 0.03), (0.02, 0.02), (0.01, 0.05), (0.1, 0.02), (0.3, 0.1)])
@pytest.mark.parametrize("questions", [60, 100])
def test_the_interval_holds_the_true_change_as_often_as_it_says(questions: int, wrong: float, right: float) -> None:
    """Summed over all outcomes, each with its multinomial probability: nothing is drawn."""
    covered, kept = 0.0, 1 - wrong - right
    for lost in range(questions + 1):
        for won in range(questions + 1 - lost):
            low, high = Flips(questions, lost, won, lost, won).interval
            if low <= right - wrong <= high:
                rest = questions - lost - won
                ways = math.comb(questions, lost) * math.comb(questions - lost, won)
                covered += ways * wrong**lost * right**won * kept**rest
    assert covered > 0.94


def test_the_p_value_is_mcnemars_exact_one() -> None:
    # All ways in which the flips could have fallen, a coin thrown for each, that are no likelier than what was seen.
    for lost, won in ((0, 0), (5, 0), (1, 4), (3, 3), (2, 9)):
        flipped = lost + won
        seen = math.comb(flipped, lost)
        as_rare = sum(math.comb(flipped, k) for k in range(flipped + 1) if math.comb(flipped, k) <= seen)
        assert Flips(20, 10, 10, lost, won).p_value == pytest.approx(as_rare / 2**flipped)


@pytest.mark.parametrize(
    "line",
    [
        "{}",
        '{"query": "a", "choices": ["b"], "gold": 0}',
        "[]",
        "no JSON",
        '{"query": " ", "choices": ["b", "c"], "gold": 0}',
    ],
)
def test_a_line_that_is_no_question_is_named(line: str, tmp_path: Path) -> None:
    good = json.dumps({"query": "a", "choices": ["b", "c"], "gold": 1})
    (tmp_path / "task.jsonl").write_text(f"{good}\n{line}\n")
    with pytest.raises(BuilderError, match=r"task\.jsonl:2"):
        read_questions(tmp_path / "task.jsonl")


def test_the_command_tells_flips_and_computes_nothing_twice(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, recipe, text = save_checkpoint(tmp_path / "model"), tmp_path / "recipe.json", tmp_path / "text.txt"
    recipe.write_text(
        json.dumps({"schemaVersion": 1, "pruning": {"method": "none"}, "quantization": {"method": "none"}})
    )
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20)
    task = tmp_path / "task.jsonl"
    lines = [{"query": each.query, "choices": each.choices, "gold": each.gold} for each in QUESTIONS]
    task.write_text("\n".join(json.dumps(line) for line in lines))
    common = ["--model", str(model), "--cache", str(tmp_path / "cache"), "--device", "cpu"]
    out = ["--eval", str(text), "--eval-tokens", "200", "--out", str(tmp_path / "variant")]
    assert run(["build", *common, "--recipe", str(recipe), *out]) == 0
    capsys.readouterr()
    arguments = ["tasks", *common, "--variant", str(tmp_path / "variant"), "--task", str(task)]
    arguments += ["--out", str(tmp_path / "answers.json")]
    assert run(arguments) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    assert [(row["task"], row["rule"], row["questions"]) for row in rows] == [
        ("task", "acc", 3),
        ("task", "acc_norm", 3),
    ]
    assert all(row["becameWrong"] == row["becameRight"] == 0 for row in rows)
    written = (tmp_path / "answers.json").stat().st_mtime_ns
    assert run(arguments) == 0
    assert (tmp_path / "answers.json").stat().st_mtime_ns == written
    assert json.loads(capsys.readouterr().out)["rows"] == rows
    other = tmp_path / "other" / "task.jsonl"
    other.parent.mkdir()
    other.write_text(json.dumps(lines[0]))
    assert run([*arguments, "--task", str(other)]) == 0
    assert [row["questions"] for row in json.loads(capsys.readouterr().out)["rows"]] == [3, 3, 1, 1]


def test_lm_eval_is_asked_for_by_its_extra_where_it_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    arguments = [
        "tasks",
        "--model",
        str(save_checkpoint(tmp_path / "model")),
        "--variant",
        str(tmp_path),
        "--task",
        "t",
    ]
    arguments += ["--through", "lm-eval", "--cache", str(tmp_path / "cache"), "--out", str(tmp_path / "answers.json")]
    assert run([*arguments, "--device", "cpu"]) == 1
    assert "pip install 'espalier-builder[lm-eval]'" in capsys.readouterr().err


def test_answers_of_another_kind_of_file_are_refused(tmp_path: Path) -> None:
    (tmp_path / "answers.json").write_text('{"rows": []}')
    checkpoint = load(save_checkpoint(tmp_path / "model"))
    with pytest.raises(BuilderError, match="holds no answers"):
        run_tasks(TaskRun(checkpoint, "digest", (), (), None), tmp_path / "answers.json", lambda *_: None)
