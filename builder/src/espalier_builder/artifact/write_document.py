"""Writes the JSON files of artifacts and kits."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from espalier_builder.contracts import canonical_json, digest_of_bytes, validate


def write_document(path: Path, contract: str, value: dict[str, Any]) -> str:
    """Writes `value` in canonical form after checking it against its contract; returns its digest.

    Raises BuilderError `CONTRACT_VIOLATED`.
    """
    validate(contract, value)
    data = canonical_json(value)
    path.write_bytes(data)
    return digest_of_bytes(data)
