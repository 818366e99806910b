"""Answers to multiple-choice questions that compression changes: docs/measurements/flips.{md,json}.

    make bench-flips DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf

DATA holds tasks/*.jsonl and text/wikitext2-a.jsonl. The rule is that of `espalier-builder tasks`, which asks built
files in ONNX Runtime; here each level's pruned and quantized weights answer in PyTorch, in fp32, so that a GPU can. A
level's likelihoods are written under `--work` when it has answered a task and are never computed again; several
processes may share the work (`--levels`), each with a folder of its own under the one that the page is made from.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.process import keep_freed_memory
from espalier_builder.tasks.flips import flips
from espalier_builder.tasks.questions import Question, read_questions
from espalier_builder.tasks.score import by_pytorch, judged, likelihoods
from levels import Levels
from measurements import engine_of, engines, write_measurements

COMMAND = "make bench-flips DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
# The first so many of each task.
QUESTIONS = 250
# What is pruned, by which method and share, and the grid that it is stored on.
LEVELS: tuple[tuple[str, str, float, str], ...] = (
    ("dense", "none", 0.0, "dense"),
    ("q8b128", "none", 0.0, "rtn-q8b128"),
    ("gptq-q4b128a", "none", 0.0, "gptq-q4b128a"),
    ("obs 15 %, q8b128", "obs", 0.15, "rtn-q8b128"),
    ("obs 30 %, q8b128", "obs", 0.3, "rtn-q8b128"),
    ("cfsp-rel+refit 15 %, q8b128", "cfsp-rel+refit", 0.15, "rtn-q8b128"),
    ("obs 15 %, gptq-q4b128a", "obs", 0.15, "gptq-q4b128a"),
    ("shortgpt 10 %, q8b128", "shortgpt", 0.1, "rtn-q8b128"),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, required=True, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--levels", default="", help="only those whose names this regular expression matches")
    parser.add_argument("--work", type=Path, required=True, help="likelihoods, and the checkpoints that were read")
    parser.add_argument("--out", type=Path, required=True, help="the folder of flips.md and flips.json")
    options = parser.parse_args()
    keep_freed_memory()
    options.work.mkdir(parents=True, exist_ok=True)
    questions = {
        path.stem: read_questions(path, QUESTIONS) for path in sorted((options.data / "tasks").glob("*.jsonl"))
    }
    # The shorter task first: its rows are there soon.
    questions = dict(sorted(questions.items(), key=lambda task: len(task[1])))
    measure(options.smol, options.data / "text", questions, options.levels, options.work)
    answers = {
        row["level"] + row["task"]: row for file in sorted(options.work.glob("**/answers-*.json")) for row in read(file)
    }
    rows = [row for row in answers.values() if row["questions"] == len(questions[row["task"]])]
    write_measurements(
        options.out,
        "flips",
        page,
        command=COMMAND,
        machine=engines(rows),
        rows=compared(rows, questions),
    )


def measure(model: Path, text: Path, questions: dict[str, list[Question]], only: str, work: Path) -> None:
    """Adds the likelihoods that are lacking, a file a level."""
    wanted = [level for level in LEVELS if re.match(only, level[0])]
    lacking = [level for level in wanted if not file_of(work, level[0]).exists()]
    if not lacking:
        return
    levels = Levels(model, text / "wikitext2-a.jsonl", work / "cache")
    checkpoint = levels.checkpoint
    engine = engine_of(checkpoint.model.device)
    for name, method, share, grid in lacking:
        level = levels.stored(method, share, grid)
        rows = []
        for task, asked in questions.items():
            rows.append({"level": name, "task": task, "questions": len(asked), "engine": engine})
            rows[-1]["likelihoods"] = answers(level, checkpoint, asked)
            file_of(work, name).write_text(json.dumps(rows) + "\n", encoding="utf8")
            print(f"{time.strftime('%X')} {name} on {task}", file=sys.stderr, flush=True)


def answers(model: DecoderModel, checkpoint: Checkpoint, asked: list[Question]) -> list[list[float]]:
    context = checkpoint.model.config.max_position_embeddings
    found = likelihoods(by_pytorch(model), checkpoint.tokenizer, asked, context)
    return [[round(value, 5) for value in values] for values in found]


def file_of(work: Path, level: str) -> Path:
    return work / f"answers-{re.sub('[^a-z0-9]+', '-', level.lower())}.json"


def compared(rows: list[dict[str, Any]], questions: dict[str, list[Question]]) -> list[dict[str, Any]]:
    """A row for each level, task and rule, against the dense model."""
    right = {
        (row["level"], row["task"], rule): found
        for row in rows
        for rule, found in judged(row["likelihoods"], questions[row["task"]]).items()
    }
    return [
        {"level": level, "task": task, "rule": rule, **flips(right["dense", task, rule], found).to_json()}
        for (level, task, rule), found in right.items()
        if ("dense", task, rule) in right
    ]


def page(document: dict[str, Any]) -> str:
    lines = ["# Answers that compression changes", ""]
    lines += [f"`{document['command']}` on {document['date']} ({document['machine']}).", ""]
    lines += [
        f"SmolLM2-135M-Instruct, calibrated on 16 rows of WikiText-2 a, the first {QUESTIONS} questions of each task.",
        "`acc` takes the likeliest choice, `acc_norm` the likeliest by character, as in lm-evaluation-harness. The",
        "change is against the dense model on the same questions, in points, with the paired 95 % interval (Bonett",
        "and Price 2012) and McNemar's exact p-value, of one comparison each: of so many, some are",
        "below 0.05 by chance.",
    ]
    for task in dict.fromkeys(row["task"] for row in document["rows"]):
        for rule in ("acc", "acc_norm"):
            own = [row for row in document["rows"] if (row["task"], row["rule"]) == (task, rule)]
            lines += ["", f"## {task}, {rule}, {own[0]['questions']} questions", ""]
            lines += ["| level | right | change | 95 % interval | p | became wrong | became right |"]
            lines += ["|---|---|---|---|---|---|---|"]
            lines += [_row(row) for row in sorted(own, key=lambda row: -row["accuracy"])]
    return "\n".join(lines) + "\n"


def _row(row: dict[str, Any]) -> str:
    if row["level"] == "dense":
        return f"| dense | {row['accuracy']:.1%} | | | | | |"
    low, high = row["changeLow"], row["changeHigh"]
    change = f"{100 * row['change']:+.1f} | {100 * low:+.1f} to {100 * high:+.1f} | {row['pValue']:.2g}"
    return f"| {row['level']} | {row['accuracy']:.1%} | {change} | {row['becameWrong']} | {row['becameRight']} |"


def read(file: Path) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf8"))
    return rows


if __name__ == "__main__":
    main()
