"""A build from checkpoint to manifest, on a random model with given text."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from espalier_builder.accuracy_level import at_level_0, settle_accuracy_level
from espalier_builder.artifact.answers import greedy
from espalier_builder.artifact.file_tree import file_tree
from espalier_builder.artifact.probe import cosine, decisive_positions, leads, logit_indices
from espalier_builder.contracts import (
    MixedBits,
    Pruning,
    Quantization,
    Recipe,
    digest_of_bytes,
    digest_of_file,
    digest_of_json,
    validate,
)
from espalier_builder.export.graph import GRAPH_FILE
from espalier_builder.export.write_graph import write_graph
from espalier_builder.failure import BuilderError
from espalier_builder.jobs import Model, run_build
from espalier_builder.onnx_evaluate.decoder import OnnxDecoder
from espalier_builder.onnx_evaluate.evaluate import LevelAgreement
from espalier_builder.progress import no_progress
from espalier_builder.quantize.weight_format import WeightFormat, variant_formats
from espalier_builder.stages.cache import StageCache
from espalier_builder.text.windows import EvaluationWindows
from espalier_builder.text_inputs import TextSettings, TextSource
from random_decoder import RandomDecoder, save_checkpoint

Q8 = Quantization("rtn", 8, 32, True, 4)
FILES = {
    "manifest.json": "Manifest",
    "chat.json": "ChatConfig",
    "probe.json": "Probe",
    "report.json": "EvaluationReport",
    "kv-cache.json": "KvCacheScales",
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Model:
    folder = save_checkpoint(tmp_path_factory.mktemp("checkpoint") / "model")
    return Model(folder, digest_of_json(file_tree(folder, "model")), "cpu")


@pytest.fixture(scope="module")
def text(tmp_path_factory: pytest.TempPathFactory) -> TextSettings:
    path = tmp_path_factory.mktemp("text") / "text.jsonl"
    chance = np.random.default_rng(0)
    documents = ["".join(chr(code) for code in chance.integers(32, 127, 300)) for _ in range(4)]
    path.write_text("\n".join(json.dumps({"text": document}) for document in documents))
    source = TextSource(path, digest_of_json(file_tree(path, "dataset")))
    return TextSettings(source, source, calibration_tokens=256, evaluation_tokens=400, sequence_length=64, seed=0)


@pytest.fixture
def build(model: Model, text: TextSettings, tmp_path: Path) -> Callable[..., Path]:
    cache = StageCache(tmp_path / "stages")

    def build_into(name: str, recipe: Recipe, settings: TextSettings = text) -> Path:
        out = tmp_path / name
        built = run_build(model, recipe, settings, cache, out, no_progress)
        assert built.digest == digest_of_file(out / "manifest.json")
        return out

    return build_into


def read(folder: Path, name: str) -> Any:
    value = json.loads((folder / name).read_bytes())
    validate(FILES[name], value)
    return value


def test_the_manifest_lists_every_file_and_every_byte(build: Callable[..., Path], model: Model) -> None:
    out = build("out", Recipe(quantization=Q8))
    manifest = read(out, "manifest.json")
    assert {entry["path"] for entry in manifest["files"]} | {"manifest.json"} == {path.name for path in out.iterdir()}
    for entry in manifest["files"]:
        data = (out / entry["path"]).read_bytes()
        assert (len(data), digest_of_bytes(data)) == (entry["sizeBytes"], entry["digest"])
        offset = 0
        for chunk in entry["chunks"]:
            assert digest_of_bytes(data[offset : offset + chunk["sizeBytes"]]) == chunk["digest"]
            offset += chunk["sizeBytes"]
        assert offset == len(data)
    assert manifest["totalBytes"] == sum(entry["sizeBytes"] for entry in manifest["files"])
    assert manifest["lineage"]["modelDigest"] == model.digest
    assert manifest["shape"]["weightBytes"] == (out / "model.onnx.data").stat().st_size
    assert manifest["name"] == "dense-q8b32"


def test_the_report_has_a_row_per_stage_and_judges_the_shipped_files(build: Callable[..., Path]) -> None:
    recipe = Recipe(Pruning("tail", 0.4), Q8)
    out = build("out", recipe)
    report = read(out, "report.json")
    rows = {row["stage"]: row for row in report["stages"]}
    assert list(rows) == ["dense", "pruned", "quantized", "exported"]
    assert report["dense"]["quality"]["agreement"] == 1
    assert report["achievedSparsity"] == pytest.approx(
        1 - rows["pruned"]["parameters"] / rows["dense"]["parameters"], abs=0.2
    )
    assert rows["pruned"]["quality"]["kl"] > 0.001
    assert rows["exported"]["quality"]["kl"] == pytest.approx(rows["quantized"]["quality"]["kl"], rel=0.1)
    assert rows["exported"]["protocol"]["engine"] == "onnxruntime"
    assert rows["exported"]["sizeBytes"] < rows["pruned"]["sizeBytes"] < rows["dense"]["sizeBytes"]
    assert any("Accuracy level 4" in note for note in report["notes"])


def test_a_calibrated_variant_is_quantized_once_and_beats_rounding(build: Callable[..., Path]) -> None:
    def quality(method: Literal["rtn", "gptq"], level: Literal[0, 4]) -> tuple[Any, list[Any]]:
        recipe = Recipe(Pruning("cfsp-rel", 0.1, 8, False), Quantization(method, 4, 32, False, level))
        report = read(build(f"{method}-{level}", recipe), "report.json")
        return report["stages"][-1]["quality"], [cost for cost in report["costs"] if cost["stage"] == "quantize"]

    calibrated, costs = quality("gptq", 0)
    rounded, no_costs = quality("rtn", 0)
    assert calibrated["kl"] < rounded["kl"]
    assert ([cost["cost"]["cached"] for cost in costs], no_costs) == ([False], [])
    _, costs = quality("gptq", 4)
    assert [cost["cost"]["cached"] for cost in costs] == [True]


@pytest.mark.parametrize("quantization", [Quantization(), Q8])
def test_a_variant_with_an_int8_cache_ships_its_scales_and_is_judged_with_them(
    build: Callable[..., Path], quantization: Quantization
) -> None:
    plain, rounding = (
        build(name, Recipe(quantization=quantization, kv_cache=cache)) for name, cache in (("a", None), ("b", "int8"))
    )
    manifest = read(rounding, "manifest.json")
    assert (manifest["kvCache"], manifest["shape"]["kvCache"]) == ("int8", "int8")
    assert "kvCache" not in read(plain, "manifest.json")
    assert {entry["path"] for entry in manifest["files"]} | {"manifest.json"} == {p.name for p in rounding.iterdir()}
    layers = read(rounding, "kv-cache.json")["layers"]
    sizes = [(layer["kvHeads"], layer["headSize"]) for layer in manifest["graph"]["layers"]]
    for part in ("keyScales", "valueScales"):
        assert [(len(layer[part]), len(layer[part][0])) for layer in layers] == sizes
    for name in (GRAPH_FILE, "model.onnx.data"):
        assert (plain / name).read_bytes() == (rounding / name).read_bytes(), name
    rows = {
        folder: {row["stage"]: row["quality"] for row in read(folder, "report.json")["stages"]}
        for folder in (plain, rounding)
    }
    assert list(rows[rounding]) == ["dense", "quantized", "exported"]
    exact = rows[plain]["exported"]["kl"]
    assert exact < rows[rounding]["exported"]["kl"] < exact + 0.01
    if quantization == Quantization():
        assert rows[rounding]["exported"]["kl"] == pytest.approx(rows[rounding]["quantized"]["kl"], rel=0.05)
    assert any("int8" in note for note in read(rounding, "report.json")["notes"])


def test_a_variant_of_mixed_bits_lies_between_its_formats_and_lists_what_is_wide(build: Callable[..., Path]) -> None:
    bits: tuple[Literal[4, 8] | MixedBits, ...] = (4, MixedBits(6), 8)
    recipes = [Recipe(quantization=Quantization("gptq", each, 32, True, 0)) for each in bits]
    folders = [build(f"out{index}", recipe) for index, recipe in enumerate(recipes)]
    manifests = [read(folder, "manifest.json") for folder in folders]
    reports = [read(folder, "report.json") for folder in folders]
    narrow, mixed, wide = (manifest["shape"]["weightBytes"] for manifest in manifests)
    assert narrow < mixed <= narrow + (wide - narrow) / 2
    kl = [report["stages"][-1]["quality"]["kl"] for report in reports]
    assert kl[0] > kl[1] > kl[2]
    exceptions = manifests[1]["shape"]["exceptions"]
    assert {each["format"]["bits"] for each in exceptions} == {8}
    assert "exceptions" not in manifests[0]["shape"]
    assert manifests[1]["name"] == "dense-gptq-q6mb32-l0"
    assert any(f"{len(exceptions)} of 8 matrices" in note for note in reports[1]["notes"])


def test_an_fp32_variant_is_the_dense_model(build: Callable[..., Path]) -> None:
    rows = read(build("out", Recipe()), "report.json")["stages"]
    assert [row["stage"] for row in rows] == ["dense", "exported"]
    assert rows[1]["quality"]["agreement"] == 1
    assert rows[1]["quality"]["kl"] < 1e-6


def test_the_report_says_how_the_shipped_files_go_on_after_pieces_of_the_text(build: Callable[..., Path]) -> None:
    out = build("out", Recipe(quantization=Q8))
    answers = read(out, "report.json")["answers"]
    assert len(answers) == 4
    prompts = [prompt["tokens"] for prompt in read(out, "probe.json")["prompts"]]
    variant = OnnxDecoder(out / "model.onnx")
    continued = list(prompts[0])
    for _ in range(6):
        # Without a cache: the whole text is read again for each token.
        continued.append(int(variant.logits(continued, [len(continued) - 1])[0].argmax()))
    assert greedy(variant, prompts[0], 6, None) == continued[len(prompts[0]) :]
    assert greedy(variant, prompts[0], 6, continued[len(prompts[0])]) == [], "it ends at the stop token"


def test_slices_of_the_text_are_judged_apart_and_add_up_to_the_whole(
    build: Callable[..., Path], text: TextSettings, tmp_path: Path
) -> None:
    assert text.evaluation.path is not None
    lines = [json.loads(line) for line in text.evaluation.path.read_text().split("\n")]
    sliced = tmp_path / "sliced.jsonl"
    sliced.write_text(
        "\n".join(json.dumps({**line, "slice": "odd" if index % 2 else "even"}) for index, line in enumerate(lines))
    )
    source = TextSource(sliced, digest_of_json(file_tree(sliced, "dataset")))
    report = read(build("out", Recipe(quantization=Q8), replace(text, evaluation=source)), "report.json")
    exported = next(stage for stage in report["stages"] if stage["stage"] == "exported")
    parts = report["slices"]
    assert [part["name"] for part in parts] == ["even", "odd"]
    tokens = sum(part["tokens"] for part in parts)
    assert tokens == exported["protocol"]["tokens"]
    for stage, quality in (("exported", exported["quality"]), ("dense", report["dense"]["quality"])):
        nll = sum(part["tokens"] * math.log(part[stage]["perplexity"]) for part in parts) / tokens
        assert math.exp(nll) == pytest.approx(quality["perplexity"])
        agreeing = sum(part["tokens"] * part[stage]["agreement"] for part in parts) / tokens
        assert agreeing == pytest.approx(quality["agreement"])


def test_two_builds_of_the_same_inputs_differ_in_measured_costs_only(build: Callable[..., Path]) -> None:
    once, again = (build(name, Recipe(quantization=Q8)) for name in ("once", "again"))
    for name in sorted(path.name for path in once.iterdir()):
        if name not in ("manifest.json", "report.json"):
            assert (once / name).read_bytes() == (again / name).read_bytes(), name
    reports = [{**read(folder, "report.json"), "costs": []} for folder in (once, again)]
    assert reports[0] == reports[1]


def test_the_probe_holds_what_the_shipped_files_say(build: Callable[..., Path]) -> None:
    out = build("out", Recipe(quantization=Q8))
    probe = read(out, "probe.json")
    variant = OnnxDecoder(out / GRAPH_FILE, threads=1)
    first = probe["firstLogits"]
    logits = variant.logits(first["tokens"])[-1]
    recorded = np.array(first["values"], np.float32)
    assert cosine(logits[first["indices"]], recorded) > first["minCosine"]
    assert int(logits.argmax()) in first["indices"]
    assert cosine(np.zeros_like(recorded), recorded) < first["minCosine"]
    for prompt in probe["prompts"]:
        assert len(prompt["tokens"]) == len(prompt["denseTop1"]) == len(prompt["variantTop1"])
        assert prompt["decisive"] == sorted(set(prompt["decisive"]))
        agreeing = (variant.logits(prompt["tokens"]).argmax(-1) == prompt["variantTop1"])[prompt["decisive"]]
        assert agreeing.mean() >= probe["minAgreementWithBuilder"]
    compared = sum(len(prompt["decisive"]) for prompt in probe["prompts"])
    assert compared >= 0.25 * sum(len(prompt["tokens"]) for prompt in probe["prompts"])


def test_positions_are_decisive_by_three_times_what_moves_a_lead_or_as_the_quarter_of_greatest_leads() -> None:
    lead = [np.array([0.5, 0.1, 0.9, 0.31]), np.array([0.29, 4.0, 0.0, 0.2])]
    assert decisive_positions(lead, 0.1) == [[0, 2, 3], [1]]
    assert decisive_positions(lead, 100.0) == [[2], [1]]


def test_a_lead_is_that_of_one_runs_choice_in_another_runs_logits() -> None:
    chosen_by = np.array([[1.0, 3.0, 2.0], [0.0, -1.0, 5.0]])
    logits = np.array([[0.0, 2.5, 2.75], [1.0, 0.0, 4.0]])
    assert leads(chosen_by, chosen_by).tolist() == [1.0, 5.0]
    assert leads(logits, chosen_by).tolist() == [-0.25, 3.0]


def test_without_text_the_model_writes_its_own_and_the_report_says_so(
    build: Callable[..., Path], text: TextSettings
) -> None:
    nothing = TextSettings(TextSource(), TextSource(), 128, 128, text.sequence_length, seed=0)
    out = build("out", Recipe(quantization=Q8), nothing)
    report = read(out, "report.json")
    assert report["dense"]["protocol"]["datasetOrigin"] == "self-sampled"
    assert any("the dense model wrote it" in note for note in report["notes"])
    assert read(out, "manifest.json")["lineage"]["evaluationDigest"] is None


def test_a_build_that_fails_leaves_nothing_behind(build: Callable[..., Path], tmp_path: Path) -> None:
    with pytest.raises(BuilderError) as caught:
        build("out", Recipe(Pruning("magnitude", 0.69, 1024, False), Q8))
    assert caught.value.code in ("ALIGNMENT_TOO_LARGE", "BUDGET_IMPOSSIBLE")
    assert [path.name for path in tmp_path.iterdir()] == ["stages"]


def test_a_level_4_that_goes_astray_is_replaced_by_level_0(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    formats = variant_formats(WeightFormat(8, 32, True, 4), 96)
    exported = write_graph(RandomDecoder().build(), formats, tmp_path)
    level_4 = (tmp_path / GRAPH_FILE).read_bytes()
    no_windows = EvaluationWindows((), 64, 0, 0)

    def found(agreement: float, kl: float) -> None:
        monkeypatch.setattr(
            "espalier_builder.accuracy_level.level_agreement", lambda *_: LevelAgreement(agreement, kl, 512)
        )

    found(0.95, 0.01)
    kept = settle_accuracy_level(exported, tmp_path, no_windows)
    assert kept is not None
    assert kept.exported.formats == formats
    assert (tmp_path / GRAPH_FILE).read_bytes() == level_4
    found(0.95, 0.2)
    replaced = settle_accuracy_level(exported, tmp_path, no_windows)
    assert replaced is not None
    assert replaced.exported.formats == at_level_0(formats)
    assert (tmp_path / GRAPH_FILE).read_bytes() != level_4
    assert "level 0" in replaced.note
    assert len(list(tmp_path.iterdir())) == 2


def test_probed_logits_are_the_likeliest_and_some_spread_ones() -> None:
    logits = np.linspace(-1, 1, 1000).astype(np.float32)
    indices = logit_indices(logits)
    assert indices == sorted(set(indices))
    assert set(range(968, 1000)) <= set(indices)
    assert 0 in indices
    assert 60 <= len(indices) <= 64
