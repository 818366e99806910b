"""The level search on made-up quality, where the best answer is known, and once on a tiny model."""

from __future__ import annotations

import json
import math
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from espalier_builder.artifact.report import EvaluationText
from espalier_builder.contracts import MixedBits, Recipe, digest_of_bytes, recipe_digest, recipe_name, validate
from espalier_builder.failure import BuilderError
from espalier_builder.progress import no_progress
from espalier_builder.search.front import Floor, cost, damage, knee, most_compressed, pareto_front, parse_floor
from espalier_builder.search.plot import ticks_between
from espalier_builder.search.search import FRONT_FILE, PLOT_FILE, TRIALS_FILE, Search, run_search, search_levels
from espalier_builder.search.space import Space
from espalier_builder.sensitivity import SensitivityRequest
from espalier_builder.stages.cache import StageCache
from espalier_builder.text.rows import calibration_rows
from espalier_builder.text.windows import evaluation_windows
from espalier_builder.worker.attempt import RESULT_DOCUMENTS
from espalier_builder.worker.run_job import run_request
from random_decoder import save_checkpoint
from tiny_llama import tiny_checkpoint

pytest.importorskip("optuna", reason="the extra `search` is not installed")

SPACE = Space(("cfsp-rel+refit", "shortgpt"), 0.5, 32)
FLOOR = Floor("agreement", 0.9)
QUALITY = {"perplexity": 9.0, "bitsPerByte": 1.0, "agreement": 1.0, "kl": 0.0, "klHalfWidth": 0.0}
SHAPE = {
    "hiddenSize": 64,
    "headSize": 16,
    "vocabularySize": 100,
    "contextLength": 64,
    "layers": [{"heads": 4, "kvHeads": 2, "ffnSize": 128}],
    "linearFormat": {"bits": 8, "blockSize": 128, "symmetric": True, "accuracyLevel": 4},
    "embeddingFormat": {"bits": 8, "blockSize": 128, "symmetric": True, "accuracyLevel": 4},
    "nonEmbeddingParameters": 1000,
    "embeddingBytes": 10,
}


def candidate(recipe: Recipe) -> dict[str, Any]:
    """A model whose damage grows with sparsity and falls with bits, by a formula: what is best can be computed."""
    pruning, quantization = recipe.pruning, recipe.quantization
    calibrated = 0.5 if quantization.method == "gptq" else 1.0
    bits: float = quantization.bits.average if isinstance(quantization.bits, MixedBits) else quantization.bits
    loss = 4 * pruning.sparsity**2 * (3 if pruning.method == "shortgpt" else 1)
    loss += 0.04 * 40 ** ((4 - bits) / 4) * calibrated * math.log2(quantization.block_size) / 6
    loss *= 0.9 if not quantization.symmetric else 1.0
    bits += (32 + (0 if quantization.symmetric else bits)) / quantization.block_size
    return {
        "recipe": recipe.to_json(),
        "recipeDigest": recipe_digest(recipe),
        "shape": SHAPE | {"weightBytes": round(1e6 * (1 - pruning.sparsity) * bits / 8)},
        "quality": {
            "perplexity": 9.0,
            "bitsPerByte": 1.0,
            "agreement": max(0.0, 1 - loss),
            "kl": loss,
            "klHalfWidth": 0.0,
        },
        "slices": [],
        "seconds": 0.1,
    }


class CountingJudge:
    """Judges by formula and remembers what it was asked; a search is interrupted after so many recipes."""

    def __init__(self, dies_after: int = 10**9) -> None:
        self.asked: list[str] = []
        self.dies_after = dies_after

    def __call__(self, recipes: tuple[Recipe, ...]) -> dict[str, Any]:
        if len(self.asked) >= self.dies_after:
            raise KeyboardInterrupt
        self.asked += [recipe_digest(recipe) for recipe in recipes]
        return {
            "schemaVersion": 1,
            "modelDigest": digest_of_bytes(b"made up"),
            "protocol": {
                "datasetDigest": None,
                "datasetOrigin": "given",
                "sequenceLength": 64,
                "windows": 2,
                "tokens": 128,
                "engine": "pytorch",
                "engineVersion": "0",
            },
            "dense": QUALITY,
            "candidates": [candidate(recipe) for recipe in recipes],
            "rejected": [],
        }


def test_the_search_comes_within_two_percent_of_the_lightest_level_above_the_floor(tmp_path: Path) -> None:
    judge = CountingJudge()
    report = search_levels(Search(SPACE, FLOOR, 60), judge, tmp_path)
    choices = SPACE.choices()
    everything = [
        candidate(SPACE.recipe({"method": m, "sparsity": 0.05 + 0.025 * at, "grid": g, "block": b, "zeros": z}))
        for m in choices["method"]
        for at in range(19)
        for g in choices["grid"]
        for b in choices["block"]
        for z in choices["zeros"]
    ]
    best, found = most_compressed(everything, FLOOR), most_compressed(report["candidates"], FLOOR)
    assert best is not None
    assert found is not None
    assert len(judge.asked) == 60 == len(set(judge.asked))
    assert cost(found) <= 1.02 * cost(best)
    swept = most_compressed([candidate(SPACE.recipe(params)) for params in SPACE.sweep()], FLOOR)
    assert swept is not None
    assert cost(found) < cost(swept)


def test_mixed_bits_are_swept_once_and_then_refined_a_step_at_a_time() -> None:
    names = [recipe_name(SPACE.recipe(params)) for params in SPACE.sweep()]
    assert names[:3] == ["dense-q8b128", "dense-gptq-q6mb128a", "dense-gptq-q4b128a"]
    assert sum("mb" in name for name in names) == 1
    mixed = {"method": "cfsp-rel+refit", "sparsity": 0.1, "grid": "gptq6", "block": 64, "zeros": "asymmetric"}
    assert [recipe_name(SPACE.recipe(params)) for params in SPACE.neighbours(mixed)] == [
        "cfsp-rel-refit-12.5-gptq-q6mb64a",
        "cfsp-rel-refit-7.5-gptq-q6mb64a",
        "cfsp-rel-refit-10-gptq-q7mb64a",
        "cfsp-rel-refit-10-gptq-q5mb64a",
        "cfsp-rel-refit-10-gptq-q6mb128a",
        "cfsp-rel-refit-10-gptq-q6mb32a",
        "cfsp-rel-refit-15-gptq-q6mb64a",
        "cfsp-rel-refit-5-gptq-q6mb64a",
        "cfsp-rel-refit-10-gptq-q6mb64",
        "dense-gptq-q6mb64a",
        "shortgpt-10-gptq-q6mb64a",
    ]
    everywhere = Space(("shortgpt",), 0.3, 32, "int8")
    assert {everywhere.recipe(params).kv_cache for params in everywhere.sweep()} == {"int8"}


def test_an_interrupted_search_goes_on_without_judging_twice(tmp_path: Path) -> None:
    whole, killed, resumed = CountingJudge(), CountingJudge(dies_after=24), CountingJudge()
    search = Search(SPACE, FLOOR, 36)
    search_levels(search, whole, tmp_path / "whole")
    with pytest.raises(KeyboardInterrupt):
        search_levels(search, killed, tmp_path / "parts")
    search_levels(search, resumed, tmp_path / "parts")
    assert killed.asked + resumed.asked == whole.asked
    assert (tmp_path / "parts" / TRIALS_FILE).read_bytes() == (tmp_path / "whole" / TRIALS_FILE).read_bytes()


def test_a_search_killed_before_its_last_front_was_written_has_it_when_asked_again(tmp_path: Path) -> None:
    search = Search(SPACE, FLOOR, 12)
    search_levels(search, CountingJudge(), tmp_path)
    front = (tmp_path / FRONT_FILE).read_bytes()
    (tmp_path / FRONT_FILE).unlink()
    search_levels(search, CountingJudge(), tmp_path)
    assert (tmp_path / FRONT_FILE).read_bytes() == front


def test_trials_of_another_model_are_not_mixed_in(tmp_path: Path) -> None:
    search_levels(Search(SPACE, FLOOR, 6), CountingJudge(), tmp_path)
    trials = json.loads((tmp_path / TRIALS_FILE).read_text())
    (tmp_path / TRIALS_FILE).write_text(json.dumps(trials | {"modelDigest": digest_of_bytes(b"another")}))
    with pytest.raises(BuilderError) as caught:
        search_levels(Search(SPACE, FLOOR, 12), CountingJudge(), tmp_path)
    assert caught.value.code == "SEARCH_DIFFERS"


def test_the_front_holds_what_no_other_beats_and_its_knee_bends_most() -> None:
    def at(size: int, kl: float) -> dict[str, Any]:
        return {"shape": {"weightBytes": size}, "quality": {"kl": kl}}

    candidates = [at(100, 1.0), at(120, 0.2), at(150, 0.3), at(200, 0.1), at(400, 0.05), at(120, 0.4)]
    front = pareto_front(candidates)
    assert [(cost(each), damage(each)) for each in front] == [(100, 1.0), (120, 0.2), (200, 0.1), (400, 0.05)]
    assert knee(front) == at(120, 0.2)
    assert knee([]) is None


def test_floors_are_written_as_people_say_them() -> None:
    assert parse_floor("agreement>=0.9") == Floor("agreement", 0.9)
    assert parse_floor(" kl <= 1e-1") == Floor("kl", 0.1)
    for wrong in ("agreement<=0.9", "kl>=0.1", "speed>=3", "kl<=", "kl<=1e"):
        with pytest.raises(BuilderError, match="is no floor"):
            parse_floor(wrong)


def test_a_tiny_model_is_searched_and_its_front_is_a_sensitivity_report(tmp_path: Path) -> None:
    checkpoint = tiny_checkpoint()
    text = ["the quick brown fox jumps over the lazy dog. " * 8, "a small fox sat, and sat. " * 8]
    request = SensitivityRequest(
        checkpoint=checkpoint,
        model_digest=digest_of_bytes(b"tiny"),
        candidates=(),
        rows=calibration_rows(checkpoint.tokenizer, text, length=32, tokens=256, seed=0),
        evaluation=EvaluationText(
            evaluation_windows(checkpoint.tokenizer, text, length=32, tokens=200), digest=None, given=True
        ),
    )
    search = Search(Space(("magnitude",), 0.3, 8, "int8"), Floor("agreement", 0.5), 12)
    found = run_search(search, request, StageCache(tmp_path / "cache"), tmp_path / "out")
    assert found["judged"] == 12
    assert found["best"]["agreement"] >= 0.5
    trials = json.loads((tmp_path / "out" / TRIALS_FILE).read_text())
    assert trials["rejected"] == []
    assert {each["shape"]["kvCache"] for each in trials["candidates"]} == {"int8"}
    assert any("exceptions" in each["shape"] for each in trials["candidates"])
    front = json.loads((tmp_path / "out" / FRONT_FILE).read_text())
    validate("SensitivityReport", front)
    assert [each["shape"]["weightBytes"] for each in front["candidates"]] == [
        each["weightBytes"] for each in found["front"]
    ]
    picture = ET.parse(tmp_path / "out" / PLOT_FILE).getroot()  # noqa: S314 (our own file)
    assert picture.tag.endswith("svg")
    assert [each.text for each in picture.iter() if each.get("font-weight") == "bold"] == [found["best"]["name"]]
    with pytest.raises(BuilderError, match="another calibration") as caught:
        run_search(search, replace(request, rows=request.rows[:-1]), StageCache(tmp_path / "cache"), tmp_path / "out")
    assert caught.value.code == "SEARCH_DIFFERS"
    strict = Search(search.space, Floor("kl", -1.0), 12)
    assert run_search(strict, request, StageCache(tmp_path / "cache"), tmp_path / "out")["best"] is None


def test_the_queue_asks_for_a_search_and_another_attempt_judges_nothing_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def request(out: str) -> dict[str, Any]:
        return {
            "job": {
                "schemaVersion": 1,
                "kind": "search",
                "jobId": digest_of_bytes(b"job"),
                "modelDigest": digest_of_bytes(b"tiny"),
                "requirements": {"memoryBytes": 0, "gpu": False},
                "calibrationDigest": None,
                "evaluationDigest": None,
                "calibrationTokens": 256,
                "evaluationTokens": 200,
                "sequenceLength": 32,
                "seed": 0,
                "floor": {"figure": "agreement", "limit": 0.2},
                "methods": ["magnitude"],
                "mostSparsity": 0.2,
                "alignment": 8,
                "kvCache": "int8",
                "trials": 6,
            },
            "modelFolder": str(tmp_path / "model"),
            "modelName": "tiny",
            "calibrationFolder": None,
            "evaluationFolder": None,
            "stagesFolder": str(tmp_path / "stages"),
            "outFolder": str(tmp_path / out),
            "device": "cpu",
        }

    save_checkpoint(tmp_path / "model")
    validate("BuildJob", request("first")["job"])
    digest = run_request(request("first"), no_progress)
    front = (tmp_path / "first" / RESULT_DOCUMENTS["search"]).read_bytes()
    assert digest_of_bytes(front) == digest
    validate("SensitivityReport", json.loads(front))
    monkeypatch.setattr("espalier_builder.search.search.run_sensitivity", lambda *_: pytest.fail("judged again"))
    assert run_request(request("second"), no_progress) == digest
    # Hours of judging are worth telling where nothing meets the floor.
    strict = request("third")
    strict["job"]["floor"] = {"figure": "kl", "limit": -1}
    assert run_request(strict, no_progress) == digest


def test_a_logarithmic_scale_has_three_ticks_or_more_even_within_a_decade() -> None:
    assert ticks_between(0.004, 1.8) == [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1]
    assert ticks_between(74, 161) == [80, 90, 100, 150]
