"""Bytes that a masked variant's matrices take on the wire: as they are, through zstd, or as a bitmask and values.

    python builder/bench/sparse_bytes.py --model SmolLM2-135M-Instruct.Q4_1.gguf --out docs/measurements

Masks by magnitude within each row (which entries go hardly matters to their number); codes by rounding. Needs the extra
`bench`. Writes sparse-bytes.json and sparse-bytes.md.
"""

from __future__ import annotations

import argparse
import platform
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
import zstandard
from torch import Tensor

from espalier_builder.checkpoint.load import load
from espalier_builder.prune.mask.pattern import Pattern
from espalier_builder.prune.walk import stacks
from espalier_builder.quantize.model import stacked
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import WeightFormat
from measurements import write_measurements

LAYERS = (0, 14, 29)
LEVELS = {
    "dense": None,
    "50 %": Pattern(0.5),
    "2:4": Pattern(0.5, 4),
    "70 %": Pattern(0.7),
    "90 %": Pattern(0.9),
}
FORMATS = {"8 bits, block 128": WeightFormat(8, 128, True, 4), "4 bits, block 128": WeightFormat(4, 128, False, 4)}
# The coordinator's (shared/src/object-packing.ts).
ZSTD_LEVEL = 1
COMMAND = "python builder/bench/sparse_bytes.py --model SmolLM2-135M-Instruct.Q4_1.gguf --out docs/measurements"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    weights = list(matrices(options.model))
    rows = [measure(level, name, weights) for name in FORMATS for level in LEVELS]
    write_measurements(
        options.out,
        "sparse-bytes",
        lambda document: page(document["rows"]),
        command=COMMAND,
        machine=f"{platform.machine()}, {platform.system()}",
        rows=rows,
        goals=goals(rows),
    )
    print(page(rows))


def matrices(model: Path) -> Iterator[Tensor]:
    """The matrices of some layers, stacked as they are exported."""
    layers = load(model).model.model.layers
    for index in LAYERS:
        yield from (stacked(linears) for linears in stacks(layers[index]).values())


def measure(level: str, name: str, weights: list[Tensor]) -> dict[str, Any]:
    pattern, form = LEVELS[level], FORMATS[name]
    raw = zstd = bitmask = 0
    seconds = 0.0
    for weight in weights:
        gone = torch.zeros_like(weight, dtype=torch.bool) if pattern is None else pattern.of_row(weight.abs())
        matrix = quantize_rtn(weight.masked_fill(gone, 0.0), form)
        zeros = matrix.packed_zero_points()
        scales = matrix.scales.numpy().tobytes() + (b"" if zeros is None else zeros.numpy().tobytes())
        data = matrix.packed_data().contiguous().numpy().tobytes()
        raw += len(data) + len(scales)
        packed = compressed(data + scales)
        zstd += len(packed)
        started = time.perf_counter()
        zstandard.ZstdDecompressor().decompress(packed)
        seconds += time.perf_counter() - started
        values = (int((~gone).sum()) * form.bits + 7) // 8
        mask = np.packbits(~gone.numpy()).tobytes()
        bitmask += min(len(mask), len(compressed(mask))) + values + len(scales)
    return {
        "format": name,
        "level": level,
        "rawBytes": raw,
        "zstdBytes": zstd,
        "bitmaskBytes": bitmask,
        "zstdShare": zstd / raw,
        "bitmaskShare": bitmask / raw,
        "zstdDecompressSeconds": seconds,
    }


def compressed(data: bytes) -> bytes:
    return zstandard.ZstdCompressor(level=ZSTD_LEVEL).compress(data)


def goals(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Whether zeros weigh less than what already does without them: fewer bits, or as many bytes cut out."""
    by_key = {(row["format"], row["level"]): row for row in rows}
    eight, four = FORMATS
    found = []
    for level in ("50 %", "2:4"):
        value = by_key[eight, level]["zstdBytes"] / by_key[four, "dense"]["zstdBytes"]
        name = f"8 bits, {level} zeros: bytes through zstd beside 4 bits without zeros"
        found.append({"name": name, "value": round(value, 3), "goal": 1.0, "met": value < 1})
    return found


def page(rows: list[dict[str, Any]]) -> str:
    by_key = {(row["format"], row["level"]): row for row in rows}
    eight, four = FORMATS

    def both(name: str, level: str) -> str:
        row = by_key[name, level]
        return f"{row['zstdShare']:.0%} against {row['bitmaskShare']:.0%}"

    def saved(name: str) -> str:
        return f"{1 - by_key[name, 'dense']['zstdShare']:.0%}"

    half, paired = (goal["value"] for goal in goals(rows))
    return f"""# Masked matrices on the wire

Layers {", ".join(map(str, LAYERS))} of SmolLM2-135M-Instruct, all matrices, zeros by magnitude in each row,
codes with their scales, zero points and the padding of the last block (a tenth here, which zstd and the
bitmask leave out); zstd at level {ZSTD_LEVEL}; the bitmask through zstd where that is smaller.

| codes | zeros | as they are, MB | zstd | bitmask and values |
|---|---|---|---|---|
{chr(10).join(map(line, rows))}

    {COMMAND}

Artifacts travel through zstd at this level, chunk by chunk ([whole ones, and what packing takes](wire-bytes.md);
[why](../decisions/0019-artifacts-travel-packed-by-zstd.md)). With half of the weights zero at 8 bits it is as small as
a bitmask ({both(eight, "50 %")}), and it takes {saved(eight)} off matrices without a zero ({saved(four)} at 4 bits),
of which a bitmask leaves out the padding alone. A bitmask is smaller where zeros have a pattern (2:4 at 8 bits:
{both(eight, "2:4")}), at 4 bits (50 %: {both(four, "50 %")}, 2:4: {both(four, "2:4")}) and where
nearly all is zero (90 % at 8 bits: {both(eight, "90 %")}). It would be one more form of a tensor for builder,
coordinator and agent to know, for levels that lose to fewer bits: half the weights zero at 8 bits are {half:.2f} times
the bytes on the wire of 4 bits without a zero ({paired:.2f} at 2:4), which also take less memory and decode faster;
zeros never do.
"""


def line(row: dict[str, Any]) -> str:
    return (
        f"| {row['format']} | {row['level']} | {row['rawBytes'] / 1e6:.2f} | {row['zstdShare']:.0%} | "
        f"{row['bitmaskShare']:.0%} |"
    )


if __name__ == "__main__":
    main()
