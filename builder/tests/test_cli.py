"""The command line: results on standard output, reasons on standard error, exit codes."""

from __future__ import annotations

import errno
import itertools
import json
import shlex
from pathlib import Path

import pytest
from safetensors import SafetensorError

from espalier_builder import jobs
from espalier_builder.artifact.whole_file import write_whole
from espalier_builder.cli import run
from espalier_builder.command.help_texts import EXAMPLES
from espalier_builder.command.inputs import parse_format
from espalier_builder.command.parser import make_parser
from espalier_builder.command.progress_bar import progress_bar
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
    assert f"{recipe}: not a valid Recipe: $.quantization" in capsys.readouterr().err


def test_a_wrong_candidate_is_refused_by_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipes = tmp_path / "recipes.json"
    recipes.write_text(json.dumps([RECIPE, {**RECIPE, "pruning": {"method": "cfsp", "sparsity": 0.2}}]))
    options = ["--model", str(tmp_path), "--candidates", str(recipes), "--out", str(tmp_path / "out")]
    assert run(["sensitivity", *options]) == 1
    assert f"{recipes}, recipe 2: not a valid Recipe: $.pruning: 'alignment'" in capsys.readouterr().err


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, file = save_checkpoint(tmp_path / "model"), tmp_path / "file"
    file.write_text("")
    for out, cache in ((file / "out", tmp_path / "cache"), (tmp_path / "out", file)):
        options = ["--model", str(model), "--format", "fp32", "--out", str(out), "--cache", str(cache)]
        assert run(["kit", *options]) == 1
        error = capsys.readouterr().err
        assert "FILE_UNUSABLE" in error
        assert str(file) in error


@pytest.mark.parametrize(
    "full",
    [OSError(errno.ENOSPC, "No space left on device"), SafetensorError("I/O error: No space left (os error 28)")],
)
def test_a_full_disk_is_said_and_leaves_no_half_of_a_result(
    full: Exception, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(_spec: object, _digest: str, _formats: object, folder: Path) -> str:
        (folder / "half").write_text("")
        raise full

    monkeypatch.setattr(jobs, "build_kit", fill)
    model, out, cache = save_checkpoint(tmp_path / "model"), tmp_path / "outs/out", tmp_path / "cache"
    options = ["--model", str(model), "--format", "fp32", "--out", str(out), "--cache", str(cache)]
    assert run(["kit", *options]) == 1
    error = capsys.readouterr().err
    assert "DISK_FULL" in error
    assert str(out.parent) in error
    assert list(out.parent.iterdir()) == []


def test_a_floor_that_nothing_meets_is_a_refusal_that_names_the_best(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna", reason="the extra `search` is not installed")
    monkeypatch.setattr(jobs, "run_search_job", lambda *_: {"best": None, "judged": 3})
    options = ["--model", str(save_checkpoint(tmp_path / "model")), "--out", str(tmp_path / "out")]
    assert run(["search", *options, "--floor", "kl<=0.1", "--cache", str(tmp_path / "cache")]) == 1
    said = capsys.readouterr()
    assert f"FLOOR_UNREACHED: none of 3 recipes meets kl<=0.1; {tmp_path / 'out/front.json'} has the best" in said.err
    assert said.out == ""


def test_a_file_is_replaced_as_a_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "folder/table.json"
    write_whole(file, "old")
    monkeypatch.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    with pytest.raises(OSError, match="full"):
        write_whole(file, "new")
    assert [path.read_text() for path in file.parent.iterdir()] == ["old"]


def test_a_missing_model_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = run(["kit", "--model", str(tmp_path / "none"), "--format", "fp32", "--out", str(tmp_path / "out")])
    assert code == 1
    assert str(tmp_path / "none") in capsys.readouterr().err


TRAINED = ["recover", "--model", "m", "--text", "t", "--out", "o"]
COMPARED = ["compare", "--model", "m", "--methods", "cfsp", "--eval", "e", "--out", "o"]


@pytest.mark.parametrize(
    "arguments",
    [
        *([], ["build"], ["build", "--eval-tokens", "1"], ["fly"]),
        *([*TRAINED, *more] for more in (["--steps", "0"], ["--rank", "-1"], ["--learning-rate", "nan"])),
        *([*TRAINED, *more] for more in (["--sequence-length", "0"], ["--seed", "-1"], ["--batch-rows", "x"])),
        *([*COMPARED, "--sparsity", share] for share in ("0", "1", "nan", "x", "")),
        [*COMPARED, "--sparsity", "0.2", "--alignment", "0"],
    ],
)
def test_wrong_usage_ends_with_code_2(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run(arguments)
    assert caught.value.code == 2


def test_every_command_has_an_example_that_it_understands(capsys: pytest.CaptureFixture[str]) -> None:
    for command, example in EXAMPLES.items():
        with pytest.raises(SystemExit):
            run([command, "--help"])
        assert example in capsys.readouterr().out
        program, *arguments = shlex.split(example.replace("\\\n", ""))
        assert program == "espalier-builder"
        assert make_parser().parse_args(arguments).command == command


def test_a_log_gets_lines_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar() as tell:
        for fraction in (0.1, 0.11, 0.12):
            tell("prune", fraction, "measuring")
        tell("prune", 1.0, "done")
    assert capsys.readouterr().err == " 10 %  measuring\n100 %  done\n"


def test_format_keys_are_those_of_the_contract() -> None:
    sizes = itertools.product((4, 8), (32, 128), (True, False), (0, 4))
    for weight_format in (FP32, *(WeightFormat(*size) for size in sizes)):
        assert WeightFormat.from_json(parse_format(weight_format.key)) == weight_format
    with pytest.raises(BuilderError, match="q5b32"):
        parse_format("q5b32")
