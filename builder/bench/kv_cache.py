"""How far an int8 KV cache moves a model's output, by how its scales are found: docs/measurements/kv-cache.{md,json}.

    make bench-kv-cache DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf

Weights stay fp32, so that nothing but the cache is seen. About two minutes on one core.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import DynamicCache

from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.device import choose_device, on_device
from espalier_builder.evaluate.forward import scored_logits
from espalier_builder.evaluate.quality import QualityAccumulator
from espalier_builder.process import keep_freed_memory
from espalier_builder.prune.precision import calibrates_in_bf16
from espalier_builder.quantize.kv_cache import KvScales, calibrate_kv_cache, rounded
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.checkpoint_stage import load_cached
from espalier_builder.text.read import read_documents
from espalier_builder.text.rows import calibration_rows, control_rows
from espalier_builder.text.windows import Window
from measurements import engine_of, write_measurements
from quantizers import joined_windows

COMMAND = "make bench-kv-cache DATA=../shared/data SMOLLM2=SmolLM2-135M-Instruct.Q4_1.gguf"
# Of a channel's largest magnitude, what ranges are clipped to.
SHARES = tuple(tenths / 10 for tenths in range(10, 2, -1))
# Rows of text on which clipped ranges are tried, beside those with control tokens.
CLIPPED_ROWS = 4
# (name, file, windows): the second has a control token, 0, every 200 tokens or so.
TEXTS = (("wikitext", "wikitext2-b.jsonl", 3), ("stories", "tinystories-valid.jsonl", 4))
WINDOW = 512


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--smol", type=Path, required=True, help="the GGUF file or folder of SmolLM2-135M-Instruct")
    parser.add_argument("--work", type=Path, required=True, help="the checkpoint that was read")
    parser.add_argument("--out", type=Path, required=True, help="the folder of kv-cache.md and kv-cache.json")
    options = parser.parse_args()
    keep_freed_memory()
    checkpoint = on_device(load_cached(options.smol, StageCache(options.work / "cache")), choose_device("auto"))
    rows = measure(checkpoint, options.data / "text")
    write_measurements(
        options.out,
        "kv-cache",
        page,
        command=COMMAND,
        machine=engine_of(checkpoint.model.device),
        rows=rows,
    )


def measure(checkpoint: Checkpoint, folder: Path) -> list[dict[str, Any]]:
    model, tokenizer = checkpoint.model, checkpoint.tokenizer
    documents = read_documents(folder / "wikitext2-a.jsonl", "calibration")
    text = calibration_rows(tokenizer, documents, length=1024, tokens=16 * 1024, seed=0)
    controls = control_rows(tokenizer, text)
    on_text, on_controls = (
        calibrate_kv_cache(model, rows, bf16=calibrates_in_bf16(model.device)) for rows in (text, controls)
    )
    both = combined(torch.maximum, on_text, on_controls)
    rules = {
        "largest on text": on_text,
        "largest on text and control tokens": both,
        "the same, clipped for least squared error": clipped(model, torch.cat([text[:CLIPPED_ROWS], controls]), both),
    }
    windows = {
        name: joined_windows(checkpoint, read_documents(folder / file, "evaluation"), WINDOW, count)
        for name, file, count in TEXTS
    }
    found: list[dict[str, Any]] = [{"scales": rule} for rule in rules]
    for name, of_text in windows.items():
        exact = [scored_logits(model, window) for window in of_text]
        for row, scales in zip(found, rules.values(), strict=True):
            row[f"{name}Kl"], row[f"{name}Agreement"] = divergence(model, of_text, exact, scales)
    widened = [float((other / own).max()) for own, other in zip(on_text.values, on_controls.values, strict=True)]
    return [*found, {"controlTokensWidenValuesBy": round(max(widened), 2)}]


def divergence(
    model: DecoderModel, windows: tuple[Window, ...], exact: list[Tensor], scales: KvScales
) -> tuple[float, float]:
    """KL(without rounding || with) in nats per token, and the share of positions whose likeliest token stays."""
    accumulator = QualityAccumulator()
    for window, logits in zip(windows, exact, strict=True):
        accumulator.add(logits, scored_logits(model, window, scales), window.targets.to(logits.device))
    quality = accumulator.quality(text_bytes=1)
    return round(quality.kl, 5), round(quality.agreement, 4)


def combined(how: Callable[[Tensor, Tensor], Tensor], one: KvScales, other: KvScales) -> KvScales:
    return KvScales(tuple(map(how, one.keys, other.keys)), tuple(map(how, one.values, other.values)))


@torch.inference_mode()
def clipped(model: DecoderModel, rows: Tensor, scales: KvScales) -> KvScales:
    """`scales` of the largest magnitudes, each times the share of least squared error on `rows`."""
    errors = ClippingErrors(scales)
    for row in rows:
        model.model(input_ids=row[None].to(model.device), past_key_values=errors, use_cache=True)
    keys, values = (
        tuple(scale * torch.tensor(SHARES)[error.argmin(0).cpu()] for scale, error in zip(part, of_part, strict=True))
        for part, of_part in ((scales.keys, errors.of_keys), (scales.values, errors.of_values))
    )
    return KvScales(keys, values)


class ClippingErrors(DynamicCache):
    """Sums squared errors `[shares, heads, channels]` by layer, and keeps no states."""

    def __init__(self, scales: KvScales) -> None:
        super().__init__()
        self._scales = scales
        self.of_keys = [torch.zeros(())] * len(scales.keys)
        self.of_values = [torch.zeros(())] * len(scales.keys)

    def update(
        self, key_states: Tensor, value_states: Tensor, layer_idx: int, *_args: Any, **_kwargs: Any
    ) -> tuple[Tensor, Tensor]:
        for sums, scales, states in (
            (self.of_keys, self._scales.keys, key_states),
            (self.of_values, self._scales.values, value_states),
        ):
            tried = [rounded(states, share * scales[layer_idx]) - states for share in SHARES]
            found = torch.stack([error.square().sum((0, 2)) for error in tried])
            sums[layer_idx] = sums[layer_idx].to(found.device) + found
        return key_states, value_states


def page(document: dict[str, Any]) -> str:
    *rows, facts = document["rows"]
    lines = [
        "# An int8 KV cache",
        "",
        f"`{document['command']}` on {document['date']} ({document['machine']}).",
        "",
        "SmolLM2-135M-Instruct with fp32 weights: KL in nats per token from the model to itself with keys and",
        "values rounded (codes -127..127, a scale for every layer, key/value head and channel, keys after the",
        "rotary positions), and the share of positions whose likeliest token stays. Calibration: 16 rows of 1,024",
        "tokens of WikiText-2 a. Judged on 1,536 tokens of WikiText-2 b and 2,048 of TinyStories, documents joined",
        "by token 0, which is a control token: calibration text has none, and TinyStories one every 200 tokens.",
        "",
        "| scales | WikiText KL | same token | TinyStories KL | same token |",
        "|---|---|---|---|---|",
    ]
    for row in rows:
        figures = (f"{row[f'{name}Kl']:.5f} | {row[f'{name}Agreement']:.1%}" for name, _, _ in TEXTS)
        lines.append(f"| {row['scales']} | {' | '.join(figures)} |")
    lines += [
        "",
        f"Control tokens make values up to {facts['controlTokensWidenValuesBy']:g} times as large as the text's.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
