"""What `build` has written, read again."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from espalier_builder.artifact.manifest import MANIFEST_FILE
from espalier_builder.contracts import digest_of_file, validate
from espalier_builder.failure import BuilderError


def read_manifest(variant: Path, model_digest: str) -> dict[str, Any]:
    """Of the artifact in the folder `variant`, whose files are what it lists. Raises BuilderError `VARIANT_INVALID`,
    `VARIANT_DIFFERS` where it was built from another model, `VARIANT_DAMAGED`."""
    manifest = read_document(variant / MANIFEST_FILE, "Manifest")
    if manifest["lineage"]["modelDigest"] != model_digest:
        raise BuilderError(
            "VARIANT_DIFFERS",
            f"{variant} was built from {manifest['lineage']['modelDigest']}, not from {model_digest}",
            "name the model that it was built from",
        )
    for entry in manifest["files"]:
        file = variant / entry["path"]
        if not file.is_file() or digest_of_file(file) != entry["digest"]:
            raise BuilderError(
                "VARIANT_DAMAGED",
                f"{file} is missing or not what {MANIFEST_FILE} lists",
                "build the variant anew, or copy it again",
            )
    return manifest


def read_document(path: Path, contract: str) -> dict[str, Any]:
    """A file of a built variant. Raises BuilderError `VARIANT_INVALID`."""
    try:
        value: dict[str, Any] = json.loads(path.read_text(encoding="utf8"))
        validate(contract, value)
    except (OSError, ValueError, BuilderError) as error:
        raise BuilderError(
            "VARIANT_INVALID", f"{path} is no {contract} ({error})", "name the folder that `build` has written"
        ) from error
    return value
