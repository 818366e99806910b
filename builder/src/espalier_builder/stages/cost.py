"""What a stage costs: wall time, peak memory and energy, each null where this machine has no counter for it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

RAPL = Path("/sys/class/powercap")


@dataclass(frozen=True, slots=True)
class StageCost:
    """The `StageCost` contract. `cached`: the stage came from the cache, the figures are what it cost then."""

    seconds: float
    peak_memory_bytes: int | None
    energy_joules: float | None
    cached: bool

    @staticmethod
    def from_json(value: dict[str, Any]) -> StageCost:
        return StageCost(value["seconds"], value["peakMemoryBytes"], value["energyJoules"], value["cached"])

    def to_json(self) -> dict[str, Any]:
        return {
            "seconds": self.seconds,
            "peakMemoryBytes": self.peak_memory_bytes,
            "energyJoules": self.energy_joules,
            "cached": self.cached,
        }

    def as_cached(self) -> StageCost:
        return replace(self, cached=True)


class CostMeter:
    """Filled when its `measure_cost` block ends; reading `cost` earlier is a programming error."""

    cost: StageCost


@contextmanager
def measure_cost() -> Iterator[CostMeter]:
    """Measure the block. Peak memory is the process's peak resident set within the block (Linux), all threads."""
    meter = CostMeter()
    peak_is_ours = _reset_peak_memory()
    energy_before = _energy_joules()
    started = time.perf_counter()
    yield meter
    seconds = time.perf_counter() - started
    energy_after = _energy_joules()
    counted = energy_before is not None and energy_after is not None and energy_after >= energy_before
    meter.cost = StageCost(
        seconds=seconds,
        peak_memory_bytes=_peak_memory_bytes() if peak_is_ours else None,
        energy_joules=energy_after - energy_before if counted else None,  # type: ignore[operator]
        cached=False,
    )


def _reset_peak_memory() -> bool:
    try:
        Path("/proc/self/clear_refs").write_text("5")  # proc(5): resets VmHWM
    except OSError:
        return False
    return True


def _peak_memory_bytes() -> int | None:
    try:
        lines = Path("/proc/self/status").read_text().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), None)


def _energy_joules() -> float | None:
    """Sum of the processor packages' counters; most systems let only root read them."""
    counters = sorted(RAPL.glob("intel-rapl:[0-9]*/energy_uj"))
    packages = [counter for counter in counters if counter.parent.name.count(":") == 1]
    try:
        return sum(int(counter.read_text()) for counter in packages) / 1e6 if packages else None
    except (OSError, ValueError):
        return None
