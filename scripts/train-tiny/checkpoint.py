"""What a run leaves in its work folder: the latest state to resume from, and the best weights so far."""

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

LATEST_FILE = "latest.pt"
BEST_FILE = "best.pt"
TOKENIZER_FILE = "tokenizer.json"


@dataclass(slots=True)
class Progress:
    """Where a run stands. `next_batch` counts within `epoch`; losses are nats a token of the validation text."""

    epoch: int = 0
    next_batch: int = 0
    step: int = 0
    tokens_seen: int = 0
    best_loss: float = float("inf")
    evaluations_since_best: int = 0
    train_seconds: float = 0.0


def save_latest(
    work: Path,
    model: torch.nn.Module,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
) -> None:
    """Replaces the previous state in one step, so that a killed run never leaves half a file."""
    state = {
        "model": model.state_dict(),
        "optimizer": optimizer.state_dict(),
        "progress": asdict(progress),
    }
    _write_atomically(work / LATEST_FILE, state)


def load_latest(work: Path, model: torch.nn.Module, optimizer: torch.optim.Optimizer) -> Progress:
    """Restores model and optimizer in place; a fresh Progress where the folder holds no state."""
    if not (work / LATEST_FILE).exists():
        return Progress()
    state = torch.load(work / LATEST_FILE, weights_only=True)
    model.load_state_dict(state["model"])
    optimizer.load_state_dict(state["optimizer"])
    return Progress(**state["progress"])


def save_best(work: Path, model: torch.nn.Module) -> None:
    """Keeps the weights alone."""
    _write_atomically(work / BEST_FILE, model.state_dict())


def load_best(work: Path) -> dict[str, torch.Tensor]:
    """Parameter name -> fp32 tensor."""
    weights: dict[str, torch.Tensor] = torch.load(work / BEST_FILE, weights_only=True)
    return weights


def _write_atomically(path: Path, value: dict[str, Any]) -> None:
    partial = path.with_suffix(".partial")
    torch.save(value, partial)
    os.replace(partial, path)
