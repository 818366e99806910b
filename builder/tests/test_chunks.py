"""Chunks: gapless, bounded, cut at boundaries."""

from __future__ import annotations

from pathlib import Path

import pytest

from espalier_builder.artifact.chunks import MAX_CHUNK_BYTES, file_entry, spans
from espalier_builder.artifact.file_tree import file_tree
from espalier_builder.contracts import digest_of_bytes, validate


@pytest.mark.parametrize(
    ("total", "boundaries"),
    [(0, []), (1, []), (MAX_CHUNK_BYTES, []), (3 * MAX_CHUNK_BYTES + 1, []), (100, [10, 10, 60, 100]), (9, [0])],
)
def test_spans_cover_the_file_and_end_at_every_boundary(total: int, boundaries: list[int]) -> None:
    cut = list(spans(total, boundaries))
    assert [span.offset for span in cut] == [sum(part.size_bytes for part in cut[:i]) for i in range(len(cut))]
    assert sum(span.size_bytes for span in cut) == total
    assert all(0 < span.size_bytes <= MAX_CHUNK_BYTES for span in cut)
    ends = {span.offset + span.size_bytes for span in cut} | {0}
    assert ends.issuperset(boundaries)


def test_a_shared_group_gives_shared_chunks_wherever_it_lies(tmp_path: Path) -> None:
    group = bytes(range(256)) * (MAX_CHUNK_BYTES // 128)
    (tmp_path / "a").write_bytes(b"short" + group)
    (tmp_path / "b").write_bytes(b"a much longer head" + group + b"tail")
    first = file_entry(tmp_path, "a", [5])
    second = file_entry(tmp_path, "b", [18, 18 + len(group)])
    assert first["chunks"][1:] == second["chunks"][1:3]
    assert first["digest"] == digest_of_bytes(b"short" + group)


def test_a_tree_lists_files_in_order_and_leaves_out_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.bin", ".hidden", "a/.git/x"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(name.encode())
    tree = file_tree(tmp_path, "dataset")
    validate("FileTree", tree)
    assert [entry["path"] for entry in tree["files"]] == ["a/z.bin", "b.txt"]
