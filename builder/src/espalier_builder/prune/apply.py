"""A pruning recipe applied to a model: the registry of methods, the cut that each chooses, and the smaller model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from espalier_builder.checkpoint.decoder import non_embedding_parameters
from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.contracts import DEPTH_METHODS, Pruning, PruningMethod
from espalier_builder.prune.budget import allocate_least_harm
from espalier_builder.prune.cut import Cut, apply_cut, whole
from espalier_builder.prune.depth import Removal, angular_removal, layers_to_keep, shortgpt_removal, tail_removal
from espalier_builder.prune.flap import compensating_biases, flap_cut
from espalier_builder.prune.harm import measure_harm
from espalier_builder.prune.mask.choose import choose_masks
from espalier_builder.prune.neurons import Calibration, choose_neurons, ffn_budget
from espalier_builder.prune.precision import calibrates_in_bf16
from espalier_builder.recover.one_pass import dense_grams, refit_one_pass
from espalier_builder.recover.refit import Refit, refit

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Pruned:
    """`achieved_sparsity`: share of the dense model's non-embedding parameters that are gone."""

    model: DecoderModel
    achieved_sparsity: float


Method = Callable[[DecoderModel, Pruning, Calibration, Progress], Cut]


def _none(model: DecoderModel, _pruning: Pruning, _calibration: Calibration, _progress: Progress) -> Cut:
    return whole(model)


def _width(model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Progress) -> Cut:
    kept = choose_neurons(model, pruning, calibration, progress)
    cut = replace(whole(model), neurons=tuple(kept))
    return _refitted(model, cut, pruning, calibration, progress) if pruning.refit else cut


def _flap(model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Progress) -> Cut:
    cut = flap_cut(model, calibration.statistics, ffn_budget(model), pruning.sparsity, pruning.alignment)
    if pruning.refit:
        return _refitted(model, cut, pruning, calibration, progress)
    return replace(cut, tensors=compensating_biases(model, cut, calibration.statistics))


def _refitted(model: DecoderModel, cut: Cut, pruning: Pruning, calibration: Calibration, progress: Progress) -> Cut:
    """As `pruning` asks. Where whole layers are gone the others aim at the dense model's stream."""
    if pruning.refit == "one-pass":
        grams = calibration.grams or dense_grams(model, calibration.rows, bf16=calibrates_in_bf16(model.device))
        return refit_one_pass(model, cut, grams, progress=progress)
    settings = Refit(correction=1.0 if pruning.method in DEPTH_METHODS else 0.0)
    return refit(
        model, cut, calibration.rows, settings=settings, bf16=calibrates_in_bf16(model.device), progress=progress
    )


def _obs(model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Progress) -> Cut:
    bf16, rows = calibrates_in_bf16(model.device), calibration.rows
    harm = calibration.harm or measure_harm(model, rows, bf16=bf16, progress=lambda done: progress(done / 2))
    widths = allocate_least_harm(ffn_budget(model), pruning.sparsity, harm.widths, harm.kl, pruning.alignment)
    return refit(
        model,
        whole(model),
        rows,
        settings=Refit(correction=1.0),
        widths=widths,
        bf16=bf16,
        progress=lambda done: progress((1 + done) / 2),
    )


def _depth(model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Progress) -> Cut:
    removals: dict[PruningMethod, Callable[[], Removal]] = {
        "tail": lambda: tail_removal(len(model.model.layers)),
        "shortgpt": lambda: shortgpt_removal(calibration.statistics),
        "angular": lambda: angular_removal(calibration.statistics),
    }
    sizes = [sum(weight.numel() for weight in layer.parameters()) for layer in model.model.layers]
    removal = removals[pruning.method]()
    layers = layers_to_keep(sizes, non_embedding_parameters(model), pruning.sparsity, removal)
    everything = whole(model)
    cut = Cut(
        layers=layers,
        neurons=tuple(everything.neurons[layer] for layer in layers),
        groups=tuple(everything.groups[layer] for layer in layers),
    )
    return _refitted(model, cut, pruning, calibration, progress) if pruning.refit else cut


def _mask(model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Progress) -> Cut:
    tensors = choose_masks(model, pruning, calibration.rows, progress)
    return replace(whole(model), tensors=tensors)


METHODS: Mapping[PruningMethod, Method] = {
    "none": _none,
    "random": _width,
    "magnitude": _width,
    "cfsp": _width,
    "cfsp-rel": _width,
    "minillm": _width,
    "minillm-gate": _width,
    "flap": _flap,
    "obs": _obs,
    "tail": _depth,
    "shortgpt": _depth,
    "angular": _depth,
    "mask-magnitude": _mask,
    "mask-magnitude-global": _mask,
    "wanda": _mask,
    "sparsegpt": _mask,
    "barber-magnitude": _mask,
    "barber-wanda": _mask,
    "barber-sparsegpt": _mask,
}


def choose_cut(
    model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Progress = lambda _: None
) -> Cut:
    """What stays, refitted where asked. Raises BuilderError `BUDGET_IMPOSSIBLE`, `ALIGNMENT_TOO_LARGE`,
    `REFIT_SINGULAR`."""
    return METHODS[pruning.method](model, pruning, calibration, progress)


def cut_out(model: DecoderModel, cut: Cut) -> Pruned:
    """The smaller model; `model` is untouched and shares its unpruned weights with the result. Zeros of a mask count as
    gone."""
    smaller = apply_cut(model, cut)
    zeros = sum(int((tensor == 0).sum()) for name, tensor in cut.tensors.items() if name.endswith(".weight"))
    return Pruned(smaller, 1 - (non_embedding_parameters(smaller) - zeros) / non_embedding_parameters(model))


def prune(
    model: DecoderModel, pruning: Pruning, calibration: Calibration, progress: Progress = lambda _: None
) -> Pruned:
    """`choose_cut` and `cut_out`."""
    return cut_out(model, choose_cut(model, pruning, calibration, progress))
