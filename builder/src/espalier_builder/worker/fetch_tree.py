"""Brings a model or dataset from the broker into a folder of the cache."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from espalier_builder.artifact.work_folder import work_folder
from espalier_builder.contracts import digest_of_file, validate
from espalier_builder.failure import BuilderError
from espalier_builder.worker.blob_bucket import BlobBucket
from espalier_builder.worker.names import hex_of


async def fetch_tree(
    bucket: BlobBucket, digest: str, cache: Path, on_progress: Callable[[float], None] = lambda _: None
) -> Path:
    """The folder of the `FileTree` with this digest; its name in the cache is the digest.

    INVARIANT: a folder under its final name is complete and verified, because it gets that name in one rename.
    Raises BuilderError `BLOB_MISSING`, `BLOB_CORRUPT`, `CONTRACT_VIOLATED`.
    """
    final = cache / hex_of(digest)
    if final.is_dir():
        return final
    tree = json.loads(await bucket.get(digest))
    validate("FileTree", tree)
    with work_folder(cache, "unfinished-") as work:
        total = max(1, sum(entry["sizeBytes"] for entry in tree["files"]))
        fetched = 0
        for entry in tree["files"]:
            await _fetch_file(bucket, entry, work)
            fetched += entry["sizeBytes"]
            on_progress(fetched / total)
        _name_file(final).write_text(tree["name"], encoding="utf8")
        _place(work, final)
    return final


def tree_name(folder: Path) -> str:
    """What the tree that `fetch_tree` put into `folder` was imported as."""
    return _name_file(folder).read_text(encoding="utf8")


def _name_file(folder: Path) -> Path:
    # Beside the folder, whose files are the tree's and nothing else.
    return folder.with_name(f"{folder.name}.name")


async def _fetch_file(bucket: BlobBucket, entry: dict[str, Any], folder: Path) -> None:
    # The contract admits plain relative paths only, so a file can't land outside.
    path = folder / entry["path"]
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        for chunk in entry["chunks"]:
            file.write(await bucket.get(chunk["digest"]))
    if path.stat().st_size != entry["sizeBytes"] or digest_of_file(path) != entry["digest"]:
        raise BuilderError(
            "BLOB_CORRUPT", f"the chunks of {entry['path']} don't make up the file", "import the model or dataset again"
        )


def _place(work: Path, final: Path) -> None:
    try:
        work.rename(final)
    except OSError:
        # Another worker on the same cache was faster with the same bytes.
        if not final.is_dir():
            raise
