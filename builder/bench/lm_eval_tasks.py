"""Our scorer of multiple choice beside EleutherAI's harness: docs/measurements/lm-eval.{md,json}.

    make bench-lm-eval DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf

PyTorch models are asked by the harness's own model class, which shares no code with our scorer: it cuts texts into
tokens, batches and sums by itself. An exported graph in ONNX Runtime it can only ask through our adapter. DATA holds
tasks/*.jsonl and text/wikitext2-a.jsonl. Rows are kept under `--work` and never measured again.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lm_eval.api.model import TemplateLM
from lm_eval.models.huggingface import HFLM

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.write_graph import write_graph
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.process import keep_freed_memory
from espalier_builder.quantize.weight_format import linear_format, variant_formats
from espalier_builder.tasks.answers import Answers
from espalier_builder.tasks.harness import HarnessModel, multiple_choice, put
from espalier_builder.tasks.questions import Question, read_questions
from espalier_builder.tasks.score import RULES, by_onnx, by_pytorch, judged, likelihoods
from levels import Levels
from measurements import engine_of, engines, keep_row, read_rows, write_measurements
from quantized import parse

COMMAND = "make bench-lm-eval DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
# The first so many of each task.
QUESTIONS = 50
# What is pruned, by which method and share, the grid that it is stored on, and whether the exported graph is asked.
LEVELS: tuple[tuple[str, str, float, str, bool], ...] = (
    ("dense", "none", 0.0, "dense", False),
    ("rtn-q4b128a", "none", 0.0, "rtn-q4b128a", False),
    ("rtn-q4b128a, exported", "none", 0.0, "rtn-q4b128a", True),
    ("cfsp-rel+refit 15 %", "cfsp-rel+refit", 0.15, "dense", False),
)
# Of a choice's log-likelihood: fp32 sums in another order differ by less.
SAME_MICRONATS = 100


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, required=True, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--work", type=Path, required=True, help="rows, and the stages that were computed")
    parser.add_argument("--out", type=Path, required=True, help="the folder of lm-eval.md and lm-eval.json")
    options = parser.parse_args()
    keep_freed_memory()
    options.work.mkdir(parents=True, exist_ok=True)
    tasks = {path.stem: read_questions(path, QUESTIONS) for path in sorted((options.data / "tasks").glob("*.jsonl"))}
    file = options.work / "rows.json"
    rows = read_rows(file)
    measure(options.smol, options.data / "text", tasks, options.work, rows, lambda row: keep_row(row, rows, file))
    rows.sort(key=lambda row: ([level[0] for level in LEVELS].index(row["level"]), row["task"]))
    different = sum(row["judgedOtherwise"] for row in rows)
    furthest = max(row["largestDifferenceMicronats"] for row in rows)
    write_measurements(
        options.out,
        "lm-eval",
        page,
        command=COMMAND,
        machine=f"{engines(rows)}; lm_eval {version('lm_eval')}",
        rows=rows,
        goals=[
            {"name": "questions judged otherwise", "value": different, "goal": 0, "met": different == 0},
            {
                "name": "largest difference, micronats",
                "value": furthest,
                "goal": SAME_MICRONATS,
                "met": furthest <= SAME_MICRONATS,
            },
        ],
    )


def measure(
    path: Path,
    text: Path,
    tasks: dict[str, list[Question]],
    work: Path,
    rows: list[dict[str, Any]],
    keep: Callable[[dict[str, Any]], None],
) -> None:
    """Adds the rows that are lacking."""
    done = {(row["level"], row["task"]) for row in rows}
    lacking = [level for level in LEVELS if any((level[0], task) not in done for task in tasks)]
    if not lacking:
        return
    levels = Levels(path, text / "wikitext2-a.jsonl", work / "cache")
    checkpoint = levels.checkpoint
    context = checkpoint.model.config.max_position_embeddings
    for name, method, share, grid, exported in lacking:
        if exported:
            variant = export(levels.pruned(method, share), grid, work / "exported")
            scorer, engine = by_onnx(variant), f"ONNX Runtime {version('onnxruntime')}"
            theirs: TemplateLM = HarnessModel(scorer, checkpoint.tokenizer, context)
        else:
            level = levels.stored(method, share, grid)
            scorer, engine = by_pytorch(level), engine_of(level.device)
            theirs = HFLM(pretrained=level, tokenizer=checkpoint.tokenizer, batch_size=1)
        for task, asked in tasks.items():
            if (name, task) in done:
                continue
            found = likelihoods(scorer, checkpoint.tokenizer, asked, context)
            told = put(multiple_choice(task, asked), theirs)
            keep({"level": name, "task": task, "engine": engine, **beside(Answers(found, judged(found, asked)), told)})
            print(f"{time.strftime('%X')} {name} on {task}", file=sys.stderr, flush=True)


def export(model: DecoderModel, grid: str, folder: Path) -> OnnxDecoder:
    folder.mkdir(exist_ok=True)
    write_graph(model, variant_formats(linear_format(parse(grid)), model.config.hidden_size), folder)
    return OnnxDecoder(folder / GRAPH_FILE)


def beside(ours: Answers, theirs: Answers) -> dict[str, Any]:
    """The shares that are right by both, and how they differ."""
    shares = {
        rule: {
            who: sum(found.right[rule]) / len(found.right[rule]) for who, found in (("ours", ours), ("lmEval", theirs))
        }
        for rule in RULES
    }
    rows = zip(ours.likelihoods, theirs.likelihoods, strict=True)
    differences = [abs(mine - other) for row, told in rows for mine, other in zip(row, told, strict=True)]
    return {
        "questions": len(ours.likelihoods),
        **shares,
        "judgedOtherwise": len(
            {
                at
                for rule in RULES
                for at, (mine, other) in enumerate(zip(ours.right[rule], theirs.right[rule], strict=True))
                if mine != other
            }
        ),
        "largestDifferenceMicronats": round(1e6 * max(differences), 1),
    }


def page(document: dict[str, Any]) -> str:
    lines = ["# Our scorer beside lm-evaluation-harness", ""]
    lines += [f"`{document['command']}` on {document['date']} ({document['machine']}).", ""]
    lines += [
        f"SmolLM2-135M-Instruct, the first {QUESTIONS} questions of each task, by `espalier-builder tasks` as it is",
        "and by lm-eval: PyTorch models by the harness's own model class (HFLM), which shares no code with our scorer,",
        "the exported graph in ONNX Runtime by our adapter, as `tasks --through lm-eval` asks it. Nothing is fetched.",
        "",
        "| level | task | questions | acc, lm-eval | acc, ours | acc_norm, lm-eval | acc_norm, ours |"
        " judged otherwise | log-likelihoods differ by at most |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in document["rows"]:
        shares = " | ".join(f"{row[rule][who]:.1%}" for rule in RULES for who in ("lmEval", "ours"))
        lines.append(
            f"| {row['level']} | {row['task']} | {row['questions']} | {shares} | {row['judgedOtherwise']} |"
            f" {row['largestDifferenceMicronats'] / 1e6:.1g} nats |"
        )
    lines += [
        "",
        "So our scorer is the default, since it needs no package beside the builder's own; `--through lm-eval` gives",
        "the same rows to those who want the harness to have said them.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
