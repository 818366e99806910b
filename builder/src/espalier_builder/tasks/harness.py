"""Questions put by EleutherAI's lm-evaluation-harness itself: it words them, cuts them into tokens and judges.

Needs the extra `lm-eval`. Nothing is fetched: a task is a file of the user's own, read by `datasets`' JSON reader.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any

import datasets
from lm_eval import evaluator
from lm_eval.api.model import TemplateLM
from lm_eval.api.task import ConfigurableTask
from transformers import PreTrainedTokenizerBase

from espalier_builder.tasks.answers import Answers
from espalier_builder.tasks.questions import Question, read_questions
from espalier_builder.tasks.score import RULES, Scorer, encode, log_likelihood
from espalier_builder.text.rows import start_id


class HarnessTask:
    """A `Task` of the first `limit` questions of `file`. Raises what `read_questions` raises."""

    def __init__(self, file: Path, limit: int | None, tokenizer: PreTrainedTokenizerBase, context_length: int) -> None:
        self.name = file.stem
        questions = read_questions(file, limit)
        self._task = multiple_choice(self.name, questions)
        self._tokenizer = tokenizer
        self._context_length = context_length
        self._task.build_all_requests()
        asked = [list(instance.args) for instance in self._task.instances]
        self.identity = ["lm-eval", version("lm_eval"), asked, [each.gold for each in questions]]

    def ask(self, scorer: Scorer, progress: Callable[[float], None]) -> Answers:
        return put(self._task, HarnessModel(scorer, self._tokenizer, self._context_length, progress))


class HarnessModel(TemplateLM):
    """A model as the harness asks it: for log-likelihoods. Raises what `log_likelihood` raises."""

    def __init__(
        self,
        scorer: Scorer,
        tokenizer: PreTrainedTokenizerBase,
        context_length: int,
        progress: Callable[[float], None] = lambda _: None,
    ) -> None:
        super().__init__()
        self.tokenizer = tokenizer
        self._scorer = scorer
        self._context_length = context_length
        self._progress = progress

    @property
    def eot_token_id(self) -> int | None:
        eos: int | None = self.tokenizer.eos_token_id
        return eos

    @property
    def prefix_token_id(self) -> int | None:
        return start_id(self.tokenizer)

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        return encode(self.tokenizer, string, add_special_tokens)

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        found = []
        for done, ((context, continuation), before, answer) in enumerate(requests, 1):
            place = f"{continuation!r} after {context[-40:]!r}"
            found.append(log_likelihood(self._scorer, before, answer, self._context_length, place))
            self._progress(done / len(requests))
        return found

    def loglikelihood(self, requests: list[Any], **_: Any) -> list[tuple[float, bool]]:
        # Without the harness's own progress bar.
        found: list[tuple[float, bool]] = super().loglikelihood(requests, disable_tqdm=True)
        return found

    # The harness demands them of every model; no multiple-choice task asks for either.
    def loglikelihood_rolling(self, *_: Any, **__: Any) -> list[float]:
        raise NotImplementedError

    def generate_until(self, *_: Any, **__: Any) -> list[str]:
        raise NotImplementedError


def multiple_choice(name: str, questions: list[Question]) -> ConfigurableTask:
    """The task that the harness makes of a file of such questions, asked without examples."""
    datasets.disable_progress_bars()
    with tempfile.TemporaryDirectory() as folder:
        # Without a file's other fields, whose types may differ from line to line.
        lines = Path(folder, "questions.jsonl")
        lines.write_text("".join(json.dumps(asdict(question)) + "\n" for question in questions), encoding="utf8")
        return ConfigurableTask(
            config={
                "task": name,
                "dataset_path": "json",
                "dataset_kwargs": {"data_files": {"test": str(lines)}, "cache_dir": folder, "keep_in_memory": True},
                "test_split": "test",
                "output_type": "multiple_choice",
                "doc_to_text": lambda line: Question(**line).context,
                "doc_to_choice": "choices",
                "doc_to_target": "gold",
                "metric_list": [{"metric": rule, "aggregation": "mean", "higher_is_better": True} for rule in RULES],
            }
        )


def put(task: ConfigurableTask, model: TemplateLM) -> Answers:
    """The harness's run of `task`, with what it says of each question; `model` is any of its models."""
    results = evaluator.evaluate(model, {task.config.task: task}, bootstrap_iters=0)
    samples = sorted(results["samples"][task.config.task], key=lambda sample: sample["doc_id"])
    return Answers(
        likelihoods=[[value for value, _greedy in sample["filtered_resps"]] for sample in samples],
        right={rule: [sample[rule] == 1 for sample in samples] for rule in RULES},
    )
