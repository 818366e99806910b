"""The command line: results on standard output, reasons on standard error, exit codes."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from espalier_builder.cli import run
from espalier_builder.command.inputs import parse_format
from espalier_builder.failure import BuilderError
from espalier_builder.quantize.weight_format import FP32, WeightFormat
from random_decoder import save_checkpoint

RECIPE = {"schemaVersion": 1, "pruning": {"method": "none"}, "quantization": {"method": "none"}}


def test_build_prints_the_result_as_json_and_writes_the_artifact(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    recipe, text = tmp_path / "recipe.json", tmp_path / "text.txt"
    recipe.write_text(json.dumps(RECIPE))
    text.write_text("The quick brown fox jumps over the lazy dog. " * 20)
    out = tmp_path / "out"
    model = save_checkpoint(tmp_path / "model")
    options = ["--model", str(model), "--recipe", str(recipe), "--eval", str(text), "--out", str(out)]
    code = run(["build", *options, "--cache", str(tmp_path / "cache"), "--eval-tokens", "200"])
    printed = json.loads(capsys.readouterr().out)
    assert code == 0
    assert printed["name"] == "dense-fp32"
    assert printed["quality"]["agreement"] == 1
    assert (out / "manifest.json").is_file()
    assert run(["build", *options]) == 1
    assert "OUT_EXISTS" in capsys.readouterr().err


def test_a_wrong_recipe_is_refused_with_what_is_wrong(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = tmp_path / "recipe.json"
    recipe.write_text(json.dumps({**RECIPE, "quantization": {"method": "rtn", "bits": 3}}))
    assert run(["build", "--model", str(tmp_path), "--recipe", str(recipe), "--out", str(tmp_path / "out")]) == 1
    assert "$.quantization" in capsys.readouterr().err


def test_a_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["kit", "--model", str(tmp_path / "none"), "--format", "fp32", "--out", str(tmp_path / "out")])
    assert code == 1
    assert str(tmp_path / "none") in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["build"], ["build", "--eval-tokens", "1"], ["fly"]])
def test_wrong_usage_ends_with_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(arguments)
    assert caught.value.code == 2


def test_format_keys_are_those_of_the_contract() -> None:
    sizes = itertools.product((4, 8), (32, 128), (True, False), (0, 4))
    for weight_format in (FP32, *(WeightFormat(*size) for size in sizes)):
        assert WeightFormat.from_json(parse_format(weight_format.key)) == weight_format
    with pytest.raises(BuilderError, match="q5b32"):
        parse_format("q5b32")
