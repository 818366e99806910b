"""Hands a job's result in: every chunk of its files and the document that lists them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from espalier_builder.contracts import digest_of_bytes
from espalier_builder.failure import BuilderError
from espalier_builder.worker.blob_bucket import BlobBucket


async def deliver(
    bucket: BlobBucket, folder: Path, document: str, on_progress: Callable[[float], None] = lambda _: None
) -> str:
    """Puts the chunks that `folder/document` lists, then the document itself; returns its digest.

    What is there already isn't sent again, so an interrupted delivery goes on where it stopped.
    Raises BuilderError `RESULT_CHANGED` where a file no longer is what the document says.
    """
    data = (folder / document).read_bytes()
    files = json.loads(data).get("files", [])
    total = max(1, sum(entry["sizeBytes"] for entry in files))
    sent = 0
    for entry in files:
        with (folder / entry["path"]).open("rb") as file:
            for chunk in entry["chunks"]:
                part = file.read(chunk["sizeBytes"])
                if digest_of_bytes(part) != chunk["digest"]:
                    raise BuilderError(
                        "RESULT_CHANGED", f"{folder / entry['path']} changed after it was listed", "build again"
                    )
                await bucket.put(part)
                sent += len(part)
                on_progress(sent / total)
    return await bucket.put(data)
