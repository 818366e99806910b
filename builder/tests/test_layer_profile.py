"""The profile of a model's blocks against the same damage done another way."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from espalier_builder.artifact.report import EvaluationText
from espalier_builder.evaluate.model import evaluate_model
from espalier_builder.layer_profile import LayerProfileRequest, replaced, run_layer_profile
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages
from espalier_builder.text.windows import EvaluationWindows, evaluation_windows
from tiny_llama import tiny_checkpoint

TEXT = ["the quick brown fox jumps over the lazy dog. " * 8, "a small fox sat, and sat. " * 8]
MODEL_DIGEST = f"sha256:{'a' * 64}"


def _profile(tmp_path: Path) -> tuple[Any, EvaluationWindows, dict[str, Any]]:
    checkpoint = tiny_checkpoint()
    windows = evaluation_windows(checkpoint.tokenizer, TEXT, length=32, tokens=256)
    request = LayerProfileRequest(checkpoint, MODEL_DIGEST, EvaluationText(windows, digest=None, given=False))
    return checkpoint, windows, run_layer_profile(request, StageCache(tmp_path))


def test_a_removed_block_does_the_damage_of_a_block_that_answers_zero(tmp_path: Path) -> None:
    checkpoint, windows, profile = _profile(tmp_path)
    model = checkpoint.model
    stages_logits = _dense(checkpoint, windows, tmp_path)
    for row in profile["blocks"]:
        layer = model.model.layers[row["layer"]]
        module = layer.self_attn if row["part"] == "attention" else layer.mlp
        hook = module.register_forward_hook(_answer_zero)
        try:
            expected = evaluate_model(model, windows, stages_logits)
        finally:
            hook.remove()
        assert row["removed"]["kl"] == pytest.approx(expected.kl, rel=1e-4)


def test_every_block_is_there_once_and_the_model_is_as_before(tmp_path: Path) -> None:
    before = {name: tensor.clone() for name, tensor in tiny_checkpoint().model.state_dict().items()}
    checkpoint, _, profile = _profile(tmp_path)
    assert [(row["layer"], row["part"]) for row in profile["blocks"]] == [
        (layer, part) for layer in range(3) for part in ("attention", "ffn")
    ]
    for name, tensor in checkpoint.model.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    assert all(0 < row["quantized"]["kl"] < row["removed"]["kl"] for row in profile["blocks"])
    assert profile["dense"]["agreement"] == 1


def test_weights_come_back_when_the_evaluation_fails() -> None:
    weight = torch.ones(2)
    with pytest.raises(RuntimeError), replaced([(weight, torch.zeros(2))]):
        assert weight.sum() == 0
        raise RuntimeError
    assert weight.sum() == 2


def _answer_zero(_module: Any, _inputs: Any, output: Any) -> Any:
    """Attention answers (output, weights), an FFN the output alone."""
    if isinstance(output, tuple):
        return (torch.zeros_like(output[0]), *output[1:])
    return torch.zeros_like(output)


def _dense(checkpoint: Any, windows: EvaluationWindows, tmp_path: Path) -> Any:
    return ModelStages(StageCache(tmp_path), DenseModel(checkpoint.model, MODEL_DIGEST)).dense_logits(windows)
