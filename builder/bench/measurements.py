"""What benches write, docs/measurements/NAME.{json,md}, and the rows that they keep meanwhile to go on from."""

from __future__ import annotations

import datetime
import json
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch


def write_measurements(
    folder: Path,
    name: str,
    page: Callable[[dict[str, Any]], str],
    *,
    command: str,
    machine: str,
    rows: Sequence[dict[str, Any]],
    goals: Sequence[dict[str, Any]] = (),
    **more: Any,
) -> None:
    """Writes `name`.json and, by `page` from the same document, `name`.md into `folder`."""
    date = datetime.datetime.now(datetime.UTC).date().isoformat()
    document = {"command": command, "machine": machine, "date": date, **more, "rows": list(rows), "goals": list(goals)}
    (folder / f"{name}.json").write_text(json.dumps(document, indent=2) + "\n", encoding="utf8")
    (folder / f"{name}.md").write_text(page(document), encoding="utf8")


def read_rows(file: Path) -> list[dict[str, Any]]:
    """Rows that an earlier run kept; none where there was none."""
    rows: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf8")) if file.is_file() else []
    return rows


def keep_row(row: dict[str, Any], rows: list[dict[str, Any]], file: Path) -> None:
    """Adds a row to those that `file` holds."""
    rows.append(row)
    file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf8")


def engine_of(device: torch.device) -> str:
    """PyTorch's version and the machine that it computes on."""
    machine = torch.cuda.get_device_name() if device.type == "cuda" else platform.machine()
    return f"PyTorch {torch.__version__}, {machine}"


def engines(rows: Sequence[dict[str, Any]]) -> str:
    """All that rows say to have been computed by."""
    return ", ".join(sorted({row["engine"] for row in rows}))
