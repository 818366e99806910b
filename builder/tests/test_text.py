"""Text: what is read, how it is cut, and text that the model writes itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from espalier_builder.failure import BuilderError
from espalier_builder.text.read import Document, interleaved, read_documents, read_sliced
from espalier_builder.text.rows import calibration_rows, control_rows
from espalier_builder.text.sample import sample_documents
from espalier_builder.text.windows import evaluation_windows
from tiny_llama import random_rows, tiny_checkpoint, tiny_tokenizer

DOCUMENTS = ["abc def", "ghé", "", "xyz."]


def test_every_token_of_the_documents_is_scored_once_and_marks_never() -> None:
    cut = evaluation_windows(tiny_tokenizer(), DOCUMENTS, length=4, tokens=100)
    targets = torch.cat([window.targets for window in cut.windows])
    expected = tiny_tokenizer()("abc defghéxyz.", add_special_tokens=False).input_ids
    assert targets.tolist() == expected
    assert cut.tokens == len(expected)
    assert cut.text_bytes == len("abc defghéxyz.".encode())
    assert all(len(window.inputs) <= 4 for window in cut.windows)
    stream = torch.cat([window.inputs for window in cut.windows]).tolist()
    assert stream[0] == 1  # the mark opens the stream
    for window in cut.windows:
        following = [*window.inputs.tolist()[1:], None]
        for position, target in zip(window.positions.tolist(), window.targets.tolist(), strict=True):
            assert following[position] in (target, None)


def test_a_limit_on_tokens_cuts_the_bytes_too() -> None:
    cut = evaluation_windows(tiny_tokenizer(), DOCUMENTS, length=4, tokens=10)
    assert cut.tokens == 10
    assert cut.text_bytes == len("abc defghé".encode())


def test_windows_without_text_are_refused() -> None:
    with pytest.raises(BuilderError, match="less than 2 tokens"):
        evaluation_windows(tiny_tokenizer(), [""], length=4, tokens=10)


def test_calibration_rows_are_windows_of_the_marked_stream_chosen_by_seed() -> None:
    rows = calibration_rows(tiny_tokenizer(), ["abcdefgh", "ijkl"], length=4, tokens=42, seed=3)
    stream = [1, 3, 4, 5, 6, 7, 8, 9, 10, 1, 11, 12, 13, 14]
    assert rows.shape == (10, 4)
    assert all(any(stream[start : start + 4] == row for start in range(10)) for row in rows.tolist())
    starts = [next(start for start in range(11) if stream[start : start + 4] == row) for row in rows.tolist()]
    assert starts == sorted(starts)
    again = calibration_rows(tiny_tokenizer(), ["abcdefgh", "ijkl"], length=4, tokens=42, seed=3)
    other = calibration_rows(tiny_tokenizer(), ["abcdefgh", "ijkl"], length=4, tokens=42, seed=4)
    assert torch.equal(rows, again)
    assert not torch.equal(rows, other)


def test_a_text_shorter_than_a_row_is_refused() -> None:
    with pytest.raises(BuilderError) as caught:
        calibration_rows(tiny_tokenizer(), ["abc"], length=4, tokens=8, seed=0)
    assert caught.value.code == "TEXT_TOO_SHORT"


def test_a_folder_gives_each_role_its_file(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a\\u2028b"}\n\n{"text": "c"}\n', encoding="utf8")
    (tmp_path / "valid.jsonl").write_text('{"text": "d"}\n', encoding="utf8")
    (tmp_path / "valid-other.txt").write_text("e\n", encoding="utf8")
    assert read_documents(tmp_path, "calibration") == ["a\u2028b", "c"]
    assert read_documents(tmp_path, "evaluation") == ["d"]
    assert read_documents(tmp_path / "valid-other.txt", "evaluation") == ["e\n"]


def test_a_folder_with_several_texts_for_a_role_is_refused_by_name(tmp_path: Path) -> None:
    for name in ("a-train.jsonl", "b-train.jsonl"):
        (tmp_path / name).write_text('{"text": "a"}\n', encoding="utf8")
    with pytest.raises(BuilderError, match=r"a-train\.jsonl, b-train\.jsonl"):
        read_documents(tmp_path, "calibration")


def test_a_broken_line_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_text('{"text": "a"}\n{"txt": "b"}\n', encoding="utf8")
    with pytest.raises(BuilderError, match="line 2"):
        read_documents(tmp_path, "calibration")


def test_half_of_a_surrogate_pair_is_refused_and_a_mark_of_byte_order_is_no_text(tmp_path: Path) -> None:
    file = tmp_path / "text.jsonl"
    file.write_text('{"text": "whole"}\n{"text": "half \\ud800"}\n', encoding="utf8")
    with pytest.raises(BuilderError, match=r"text\.jsonl, line 2: text is no Unicode"):
        read_documents(file, "evaluation")
    file.write_text('{"text": "whole"}\n', encoding="utf-8-sig")
    assert read_documents(file, "evaluation") == ["whole"]


def test_sampled_text_is_the_models_own_and_follows_the_seed() -> None:
    checkpoint = tiny_checkpoint()
    first, again, other = (sample_documents(checkpoint, tokens=300, length=40, seed=seed) for seed in (0, 0, 1))
    assert first == again != other
    tokens = sum(len(checkpoint.tokenizer(text, add_special_tokens=False).input_ids) for text in first)
    # The random model spreads over 48 ids, of which the tokenizer spells 31.
    assert 150 <= tokens <= 300


def test_lines_name_the_slice_that_they_belong_to_and_slices_take_turns(tmp_path: Path) -> None:
    lines = [
        {"text": "a", "slice": "code"},
        {"text": "b", "slice": "code"},
        {"text": "c"},
        {"text": "d", "slice": "chat"},
    ]
    (tmp_path / "valid.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    documents = read_sliced(tmp_path, "evaluation")
    assert documents == [Document("a", "code"), Document("b", "code"), Document("c"), Document("d", "chat")]
    assert [document.text for document in interleaved(documents)] == ["a", "c", "d", "b"]
    assert read_documents(tmp_path, "evaluation") == ["a", "b", "c", "d"]


@pytest.mark.parametrize("name", ["Upper", "with space", "x" * 33, 7])
def test_a_slice_that_is_no_name_is_refused_with_its_line(name: object, tmp_path: Path) -> None:
    file = tmp_path / "text.jsonl"
    file.write_text(json.dumps({"text": "a"}) + "\n" + json.dumps({"text": "b", "slice": name}))
    with pytest.raises(BuilderError, match=r"line 2: slice .* is no name"):
        read_sliced(file, "evaluation")


def test_slices_part_the_targets_of_their_documents_and_count_their_bytes() -> None:
    tokenizer = tiny_tokenizer()
    cut = evaluation_windows(tokenizer, DOCUMENTS, length=4, tokens=100, slices=["x", "y", "y", ""])
    spelled = {
        part.name: torch.cat([window.targets[mask] for window, mask in zip(cut.windows, part.masks, strict=True)])
        for part in cut.slices
    }
    for name, text in {"x": "abc def", "y": "ghé"}.items():
        assert spelled[name].tolist() == tokenizer(text, add_special_tokens=False).input_ids
    assert {part.name: part.text_bytes for part in cut.slices} == {"x": 7, "y": 4}
    whole = evaluation_windows(tokenizer, DOCUMENTS, length=4, tokens=100)
    assert cut.text_bytes == whole.text_bytes and whole.slices == ()


def test_every_control_token_comes_often_in_rows_that_are_text_elsewhere() -> None:
    tokenizer = tiny_tokenizer()
    rows = random_rows(3, 64)
    found = control_rows(tokenizer, rows)
    assert torch.equal(found, control_rows(tokenizer, rows))
    special = torch.isin(found, torch.tensor(tokenizer.all_special_ids))
    for token in tokenizer.all_special_ids:
        assert int((found == token).sum()) >= 16
    text = rows[torch.arange(len(found)) % 3]
    assert torch.equal(found[~special], text[~special])
    assert int(special.sum()) == found.numel() // 16
