"""Recovery by training: full or low-rank, on text or distilled from the dense model, stopped early on held-out text."""

from __future__ import annotations

import copy
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.failure import BuilderError
from espalier_builder.prune.precision import tf32_products
from espalier_builder.recover.lora import Ranks, attach, layer_ranks, merge


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """How long is trained. `patience`: checks without gain before the end."""

    steps: int = 200
    batch_rows: int = 4
    check_every: int = 25
    patience: int = 3
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTuning(Schedule):
    """`kind`: what is trained. `ranks` and `mean_rank` are for `lora`.

    `distil`: KL(dense || this) on logits instead of the loss on the text's own next tokens.
    """

    kind: Literal["lora", "full"] = "lora"
    ranks: Ranks = "uniform"
    mean_rank: int = 8
    distil: bool = False
    learning_rate: float = 1e-3


@dataclass(frozen=True, slots=True)
class Point:
    """Mean loss on held-out text, nats a token, after `step` steps."""

    step: int
    held_out_loss: float


@dataclass(frozen=True, slots=True)
class Recovered:
    """`curve` begins before the first step; `model` is that of its lowest point. `trained`: parameters that moved."""

    model: DecoderModel
    curve: tuple[Point, ...]
    trained: int


def fine_tune(
    pruned: DecoderModel,
    dense: DecoderModel | None,
    training: Tensor,
    held_out: Tensor,
    importance: list[float],
    settings: FineTuning,
    progress: Callable[[float], None] = lambda _: None,
) -> Recovered:
    """A trained copy of `pruned`, on rows `[N, T]`, with adapters merged. `importance`: of layers, for ranks.

    Raises BuilderError `DENSE_MISSING` where distillation has no teacher, `TRAINING_DIVERGED`.
    """
    if settings.distil and dense is None:
        raise BuilderError("DENSE_MISSING", "distillation needs the dense model", "name it with --dense")
    model = copy.deepcopy(pruned)
    weights = _trainable(model, importance, settings)
    curve = train(
        [{"params": weights, "lr": settings.learning_rate}],
        loss=lambda rows: _loss(model, dense if settings.distil else None, rows),
        judge=lambda: held_out_loss(model, held_out),
        rows=training,
        settings=settings,
        progress=progress,
    )
    merge(model)
    model.requires_grad_(False)
    return Recovered(model, curve, sum(weight.numel() for weight in weights))


def train(
    groups: list[dict[str, Any]],
    *,
    loss: Callable[[Tensor], Tensor],
    judge: Callable[[], float],
    rows: Tensor,
    settings: Schedule,
    progress: Callable[[float], None],
) -> tuple[Point, ...]:
    """Minimises `loss` of batches of `rows` `[N, T]` with AdamW over its parameter `groups`, and leaves the weights for
    which `judge` was lowest. The curve begins before the first step.

    The learning rate warms up over a tenth of the steps and falls linearly to zero.
    """
    weights: list[Tensor] = [weight for group in groups for weight in group["params"]]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _pace(step, settings.steps))
    curve = [Point(0, judge())]
    best = [weight.detach().clone() for weight in weights]
    for step, batch in enumerate(_batches(rows, settings), start=1):
        optimizer.zero_grad()
        with tf32_products():
            loss(batch).backward()
        nn.utils.clip_grad_norm_(weights, 1.0)
        optimizer.step()
        schedule.step()
        progress(step / settings.steps)
        if step % settings.check_every and step != settings.steps:
            continue
        lowest = min(point.held_out_loss for point in curve)
        curve.append(Point(step, judge()))
        if curve[-1].held_out_loss < lowest:
            best = [weight.detach().clone() for weight in weights]
        elif _checks_since_best(curve) >= settings.patience:
            break
    with torch.no_grad():
        for weight, kept in zip(weights, best, strict=True):
            weight.copy_(kept)
    return tuple(curve)


@torch.inference_mode()
def held_out_loss(model: DecoderModel, rows: Tensor) -> float:
    """Mean next-token loss over rows `[N, T]`. Raises BuilderError `TRAINING_DIVERGED`."""
    losses = [_loss(model, None, row[None]).double() for row in rows]
    loss = torch.stack(losses).mean()
    if not bool(loss.isfinite()):
        raise BuilderError("TRAINING_DIVERGED", "the loss on held-out text is not finite", "use a lower learning rate")
    return loss.item()


def _trainable(model: DecoderModel, importance: list[float], settings: FineTuning) -> list[nn.Parameter]:
    if settings.kind == "full":
        model.requires_grad_(True)
        return list(model.parameters())
    ranks = layer_ranks(importance, settings.mean_rank, settings.ranks)
    return [weight for adapter in attach(model, ranks, settings.seed) for weight in (adapter.a, adapter.b)]


def divergence(model: DecoderModel, teacher: DecoderModel, rows: Tensor) -> Tensor:
    """Mean KL(teacher || model) over next tokens of rows `[N, T]`, nats a token."""
    with torch.no_grad():
        wanted = _logits(teacher, rows).log_softmax(-1)
    return nn.functional.kl_div(_logits(model, rows).log_softmax(-1), wanted, reduction="batchmean", log_target=True)


def _loss(model: DecoderModel, teacher: DecoderModel | None, rows: Tensor) -> Tensor:
    if teacher is not None:
        return divergence(model, teacher, rows)
    logits = _logits(model, rows)
    return nn.functional.cross_entropy(logits, rows[:, 1:].flatten().to(logits.device))


def _logits(model: DecoderModel, rows: Tensor) -> Tensor:
    """For the next tokens of rows `[N, T]`: `[N * (T - 1), V]`."""
    logits: Tensor = model(rows.to(model.lm_head.weight.device), use_cache=False).logits
    return logits[:, :-1].float().flatten(0, 1)


def _pace(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    return min((step + 1) / warm, max(0.0, (steps - step) / max(1, steps - warm)))


def _batches(rows: Tensor, settings: Schedule) -> Iterator[Tensor]:
    """`settings.steps` batches, every row once before any comes again, in seeded order."""
    chance = random.Random(settings.seed)
    order: list[int] = []
    for _ in range(settings.steps):
        if len(order) < settings.batch_rows:
            fresh = list(range(len(rows)))
            chance.shuffle(fresh)
            order += fresh
        yield rows[order[: settings.batch_rows]]
        order = order[settings.batch_rows :]


def _checks_since_best(curve: list[Point]) -> int:
    best = min(range(len(curve)), key=lambda index: curve[index].held_out_loss)
    return len(curve) - 1 - best
