"""Where a model's quality lies: the damage done by removing, and by quantizing, one block at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from espalier_builder.artifact.report import EvaluationText, protocol
from espalier_builder.checkpoint.checkpoint import Checkpoint
from espalier_builder.checkpoint.family import DecoderModel, ffn_inputs
from espalier_builder.contracts import validate
from espalier_builder.evaluate.model import evaluate_model, evaluate_reference
from espalier_builder.evaluate.quality import Quality
from espalier_builder.export.decoder_spec import spec_of
from espalier_builder.export.shape import shape_of
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.weight_format import FP32, VariantFormats, WeightFormat
from espalier_builder.stages.cache import StageCache
from espalier_builder.stages.dense_stages import DenseModel
from espalier_builder.stages.model_stages import ModelStages

# (share of the job done, what is being done)
Progress = Callable[[float, str], None]
# What a block's weights are rounded to, to see how much it minds: coarse enough to tell blocks apart.
PROBE_FORMAT = WeightFormat(bits=4, block_size=32, symmetric=True, accuracy_level=4)
_DENSE_SHARE = 0.05


@dataclass(frozen=True, slots=True)
class LayerProfileRequest:
    """`model_digest` names what `checkpoint` was read from."""

    checkpoint: Checkpoint
    model_digest: str
    evaluation: EvaluationText


@dataclass(frozen=True, slots=True)
class Block:
    """One attention or feed-forward block. Without what `output` adds to the residual stream, it is gone."""

    layer: int
    part: Literal["attention", "ffn"]
    linears: tuple[nn.Linear, ...]
    output: nn.Linear


def blocks_of(model: DecoderModel) -> list[Block]:
    """Every block in the order that a token passes them."""
    blocks = []
    for index, layer in enumerate(model.model.layers):
        attention, mlp = layer.self_attn, layer.mlp
        queries = (attention.q_proj, attention.k_proj, attention.v_proj, attention.o_proj)
        blocks.append(Block(index, "attention", queries, attention.o_proj))
        blocks.append(Block(index, "ffn", (*ffn_inputs(mlp), mlp.down_proj), mlp.down_proj))
    return blocks


def run_layer_profile(
    request: LayerProfileRequest, cache: StageCache, progress: Progress = lambda _share, _doing: None
) -> dict[str, Any]:
    """The `LayerProfile` of a model: per block KL(dense || changed) over the same tokens, without any recovery.

    The model's weights are changed in place, a block at a time, and put back. Raises BuilderError.
    """
    model = request.checkpoint.model
    stages = ModelStages(cache, DenseModel(model, request.model_digest))
    reference = stages.dense_logits(
        request.evaluation.windows, lambda share: progress(_DENSE_SHARE * share, "dense model")
    )

    def damage(weights: list[tuple[Tensor, Tensor]]) -> dict[str, float]:
        with replaced(weights):
            return _damage(evaluate_model(model, request.evaluation.windows, reference))

    rows = []
    blocks = blocks_of(model)
    for index, block in enumerate(blocks):
        progress(_DENSE_SHARE + (1 - _DENSE_SHARE) * index / len(blocks), f"{block.part} of layer {block.layer}")
        rows.append(
            {
                "layer": block.layer,
                "part": block.part,
                "removed": damage([(tensor, torch.zeros_like(tensor)) for tensor in _tensors(block.output)]),
                "quantized": damage(
                    [
                        (linear.weight, quantize_rtn(linear.weight, PROBE_FORMAT).dequantize())
                        for linear in block.linears
                    ]
                ),
            }
        )
    progress(1.0, "done")
    profile = {
        "schemaVersion": 1,
        "modelDigest": request.model_digest,
        "protocol": protocol(request.evaluation, "pytorch"),
        "dense": evaluate_reference(request.evaluation.windows, reference).to_json(),
        "shape": shape_of(spec_of(model), VariantFormats(linear=FP32, embedding=FP32)),
        "probeFormat": PROBE_FORMAT.to_json(),
        "blocks": rows,
    }
    validate("LayerProfile", profile)
    return profile


@contextmanager
def replaced(weights: list[tuple[Tensor, Tensor]]) -> Iterator[None]:
    """Gives each first tensor the second one's values for a while, and its own ones back afterwards."""
    kept = [tensor.clone() for tensor, _ in weights]
    try:
        with torch.no_grad():
            for tensor, values in weights:
                tensor.copy_(values)
        yield
    finally:
        with torch.no_grad():
            for (tensor, _), values in zip(weights, kept, strict=True):
                tensor.copy_(values)


def _tensors(linear: nn.Linear) -> list[Tensor]:
    return [linear.weight] if linear.bias is None else [linear.weight, linear.bias]


def _damage(quality: Quality) -> dict[str, float]:
    return {"kl": quality.kl, "klHalfWidth": quality.kl_half_width}
