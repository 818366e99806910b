"""The expensive stages between a checkpoint and its levels, each made once per content and shared by all levels."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch import Tensor
from transformers import LlamaForCausalLM

from espalier_builder.contracts import Pruning, digest_of_bytes, digest_of_json
from espalier_builder.evaluate import dense_logits, forward
from espalier_builder.evaluate.dense_logits import DenseLogits, write_dense_logits
from espalier_builder.prune import apply, budget, cfsp, decoder, magnitude, statistics
from espalier_builder.prune.apply import Calibration, Pruned, choose_neurons, prune
from espalier_builder.prune.precision import bf16_is_fast
from espalier_builder.prune.statistics import Statistics, collect_statistics
from espalier_builder.recover import refit as refit_module
from espalier_builder.recover.refit import refit
from espalier_builder.stages.cache import StageCache, code_version
from espalier_builder.stages.cost import StageCost
from espalier_builder.text.windows import EvaluationWindows

Progress = Callable[[float], None]
ENGINES = {"torch": torch.__version__, "transformers": transformers.__version__}
TENSORS = "tensors.safetensors"
FACTS = "facts.json"


@dataclass(frozen=True, slots=True)
class DenseModel:
    """`digest` names the bytes that the model was read from."""

    model: LlamaForCausalLM
    digest: str


class ModelStages:
    """Stages of one dense model; `costs` collects what those that ran, or were served, cost."""

    def __init__(self, cache: StageCache, dense: DenseModel) -> None:
        self._cache = cache
        self._dense = dense
        self.costs: list[tuple[str, StageCost]] = []

    def calibration(self, rows: Tensor) -> Calibration:
        """`rows` `[N, T]` with the dense model's statistics on them (stage `statistics`)."""
        bf16 = bf16_is_fast()

        def make(folder: Path) -> None:
            _write_statistics(collect_statistics(self._dense.model, rows, bf16=bf16), folder)

        inputs = {"model": self._dense.digest, "rows": digest_of_rows(rows), "bf16": bf16, "engines": ENGINES}
        result = self._cache.run("statistics", inputs, code_version(statistics, decoder), make)
        self.costs.append(("statistics", result.cost))
        return Calibration(rows=rows, statistics=_read_statistics(result.folder))

    def pruned(self, pruning: Pruning, calibration: Calibration, progress: Progress = lambda _: None) -> Pruned:
        """As `prune`; what refitting makes, the weights of down_proj, is the stage `refit`."""
        if pruning.method in ("none", "tail") or not pruning.refit:
            return prune(self._dense.model, pruning, calibration)
        bare = prune(self._dense.model, replace(pruning, refit=False), calibration)
        bf16 = bf16_is_fast()

        def make(folder: Path) -> None:
            kept = choose_neurons(self._dense.model, pruning, calibration.statistics)
            refit(self._dense.model, bare.model, kept, calibration.rows, bf16=bf16, progress=progress)
            weights = {str(index): layer.mlp.down_proj.weight for index, layer in enumerate(bare.model.model.layers)}
            save_file(weights, folder / TENSORS)

        inputs = {
            "model": self._dense.digest,
            "rows": digest_of_rows(calibration.rows),
            "pruning": pruning.to_json(),
            "bf16": bf16,
            "engines": ENGINES,
        }
        version = code_version(apply, budget, cfsp, magnitude, statistics, decoder, refit_module)
        result = self._cache.run("refit", inputs, version, make)
        self.costs.append(("refit", result.cost))
        weights = load_file(result.folder / TENSORS)
        with torch.inference_mode():
            for index, layer in enumerate(bare.model.model.layers):
                layer.mlp.down_proj.weight.copy_(weights[str(index)])
        return bare

    def dense_logits(self, windows: EvaluationWindows, progress: Progress = lambda _: None) -> DenseLogits:
        """The dense model's logits on `windows` (stage `dense-logits`)."""
        ids = [digest_of_rows(window.inputs) + digest_of_rows(window.positions) for window in windows.windows]
        inputs = {"model": self._dense.digest, "windows": digest_of_json(ids), "engines": ENGINES}
        result = self._cache.run(
            "dense-logits",
            inputs,
            code_version(dense_logits, forward),
            lambda folder: write_dense_logits(self._dense.model, windows, folder, progress),
        )
        self.costs.append(("dense-logits", result.cost))
        return DenseLogits(result.folder, windows)


def digest_of_rows(rows: Tensor) -> str:
    """The content address of token ids and their shape."""
    return digest_of_json([list(rows.shape), digest_of_bytes(rows.contiguous().numpy().tobytes())])


def _write_statistics(value: Statistics, folder: Path) -> None:
    norms = {str(index): norm for index, norm in enumerate(value.activation_norms)}
    save_file(norms, folder / TENSORS)
    facts = {"angles": value.angles, "tokens": value.tokens}
    (folder / FACTS).write_text(json.dumps(facts), encoding="utf8")


def _read_statistics(folder: Path) -> Statistics:
    norms = load_file(folder / TENSORS)
    facts = json.loads((folder / FACTS).read_text(encoding="utf8"))
    ordered = tuple(norms[str(index)] for index in range(len(norms)))
    return Statistics(activation_norms=ordered, angles=tuple(facts["angles"]), tokens=facts["tokens"])
