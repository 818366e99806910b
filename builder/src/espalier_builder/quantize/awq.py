"""AWQ (Lin et al., arXiv:2306.00978): channels that carry large activations are scaled up before they are rounded.

Shapes: R rows and C columns of a matrix, B blocks of K columns; N rows of T tokens. Everything is measured on the dense
model's stream, as in the published code, and on the grid that is exported. What a block adds to the residual stream is
compared relative to that stream (`relative_inputs`), which is ours.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from espalier_builder.checkpoint.family import DecoderModel
from espalier_builder.failure import BuilderError
from espalier_builder.prune.decoder import Block, HiddenStates
from espalier_builder.prune.walk import (
    gram,
    mean_square,
    relative_inputs,
    require_finite_inputs,
    stacks,
    walk_layer,
)
from espalier_builder.quantize.grid import (
    Grid,
    QuantizedMatrix,
    fit_grid,
    in_blocks,
    matrix_of,
    range_grid,
    require_finite,
)
from espalier_builder.quantize.model import stacked
from espalier_builder.quantize.rtn import quantize_rtn
from espalier_builder.quantize.scaling import shared_by_queries
from espalier_builder.quantize.weight_format import LinearFormats, WeightFormat

# The paper's: exponents of the mean activation, and shares of a block's range.
EXPONENTS = tuple(twentieths / 20 for twentieths in range(20))
CLIPS = tuple(1 - twentieths / 20 for twentieths in range(10))
# Tokens on which a block's outputs are compared for each exponent.
SEARCH_TOKENS = 4096
# Rows of a matrix whose clipped ranges are tried at once.
_ROWS = 512

Progress = Callable[[float], None]
# Squared error of the model's stream with these weights `[R, C]` in place of a matrix's own.
Loss = Callable[[Tensor], float]


@torch.inference_mode()
def awq_scales(
    model: DecoderModel,
    rows: Tensor,
    formats: LinearFormats,
    *,
    bf16: bool = False,
    progress: Progress = lambda _: None,
) -> dict[str, Tensor]:
    """Scales for `scaled_copy` of every matrix of the layers, on calibration `rows` `[N, T]`.

    Of qkv and gate_up those by which attention's or the FFN's output suffers least, of o_proj and down_proj (exactly,
    by their Gram matrices) their own. Costs twenty passes over SEARCH_TOKENS and twenty roundings of all weights.
    Raises BuilderError `WEIGHTS_NOT_FINITE`, `ACTIVATIONS_NOT_FINITE`.
    """
    stream = HiddenStates(model, rows, bf16=bf16)
    found: dict[str, Tensor] = {}
    for index, layer in enumerate(model.model.layers):
        linears = stacks(layer)
        attention, ffn = stream.blocks(layer)
        for block, norm, reading, writing in (
            (attention, layer.input_layernorm, "attention.qkv", "attention.output"),
            (ffn, layer.post_attention_layernorm, "ffn.gate_up", "ffn.down"),
        ):
            sizes = mean_magnitude([norm(states).flatten(0, 1) for states in stream.batches()])
            loss = _output_loss(stream, block, linears[reading])
            place = f"layers.{index}.{reading}"
            require_finite_inputs(sizes, place)
            found[place] = best_scale(stacked(linears[reading]), sizes, formats.of(place), loss)
            inner = [block.inner(states) for states in stream.batches()]
            inputs = relative_inputs(stream, block, inner)
            sizes = mean_magnitude(inputs)
            place = f"layers.{index}.{writing}"
            require_finite_inputs(sizes, place)
            if block is attention:
                sizes = shared_by_queries(layer, sizes)
            loss = _gram_loss(block.linear.weight, gram(inputs))
            found[place] = best_scale(block.linear.weight, sizes, formats.of(place), loss)
            for states, part in zip(stream.batches(), inner, strict=True):
                stream.add_output(states, part, block.linear.weight, block.linear.bias)
        progress((index + 1) / len(model.model.layers))
    return found


def best_scale(weight: Tensor, sizes: Tensor, weight_format: WeightFormat, loss: Loss) -> Tensor:
    """Of `sizes^r`, scaled so that the largest and the smallest are inverse, the scale `[C]` of least loss.

    `sizes` `[C]`: mean magnitude of the inputs. r = 0 is among the exponents, so rounding is never worse.
    """
    scales = []
    for exponent in EXPONENTS:
        scale = sizes.pow(exponent).clamp(min=1e-4)
        scales.append(scale / (scale.max() * scale.min()).sqrt())
    losses = [loss(quantize_rtn(weight * scale, weight_format).dequantize() / scale) for scale in scales]
    return scales[min(range(len(scales)), key=lambda at: losses[at])]


def mean_magnitude(parts: list[Tensor]) -> Tensor:
    """Mean of `|x|` `[C]` over the tokens of parts `[t, C]`."""
    tokens = sum(len(part) for part in parts)
    return torch.stack([part.float().abs().sum(0) for part in parts]).sum(0) / tokens


@torch.inference_mode()
def quantize_clipped(
    model: DecoderModel,
    rows: Tensor,
    formats: LinearFormats,
    *,
    bf16: bool = False,
    progress: Progress = lambda _: None,
) -> dict[str, QuantizedMatrix]:
    """Every matrix of the layers with its blocks' ranges clipped to what their outputs bear best, then rounded.

    `model` is one that `awq_scales` scaled. Raises BuilderError `WEIGHTS_NOT_FINITE`, naming the matrix.
    """
    stream = HiddenStates(model, rows, bf16=bf16)
    matrices: dict[str, QuantizedMatrix] = {}
    for index, layer in enumerate(model.model.layers):

        def clip(name: str, linears: list[nn.Linear], gram: Tensor, index: int = index) -> None:
            """Nothing is written back: the stream stays the dense one."""
            # As published queries and keys keep their ranges: what is compared by products bears no clipping.
            whole = sum(linear.out_features for linear in linears[:2]) if name == "attention.qkv" else 0
            place = f"layers.{index}.{name}"
            try:
                matrices[place] = clipped(stacked(linears), gram, formats.of(place), whole)
            except BuilderError as error:
                raise error.within(place) from error

        walk_layer(stream, layer, clip)
        progress((index + 1) / len(model.model.layers))
    return matrices


def clipped(weight: Tensor, gram: Tensor, weight_format: WeightFormat, whole: int = 0) -> QuantizedMatrix:
    """`weight` `[R, C]` rounded, each block on the range of least output error, given its inputs' `gram` `[C, C]`.

    A block's error is that of its own products, `d G_b d`, G_b its part of `gram`. What `quantize_rtn` finds is among
    those tried. The first `whole` rows keep that.
    """
    require_finite(weight)
    blocked = in_blocks(weight.float(), weight_format)
    products = _block_products(gram, weight_format)
    free = torch.arange(len(blocked), device=blocked.device)[:, None] >= whole  # [R, 1]
    parts = zip(blocked.split(_ROWS), free.split(_ROWS), strict=True)
    fitted = [_best_range(part, products, mask, weight_format) for part, mask in parts]
    grid = Grid(torch.cat([grid.scales for grid, _ in fitted]), torch.cat([grid.zeros for grid, _ in fitted]))
    return matrix_of(torch.cat([codes for _, codes in fitted]), grid, weight_format, weight.shape[1])


def _best_range(blocked: Tensor, products: Tensor, free: Tensor, weight_format: WeightFormat) -> tuple[Grid, Tensor]:
    """Grid and codes `[R, B, K]` of weights `[R, B, K]`; rows that are not `free` `[R, 1]` are only rounded."""
    highest = (1 << weight_format.bits) - 1
    grid, codes = fit_grid(blocked, weight_format)
    error = _output_error(grid.values(codes) - blocked, products)
    for clip in CLIPS:
        tried = range_grid(blocked, weight_format, clip)
        found = tried.nearest(blocked, highest)
        found_error = _output_error(tried.values(found) - blocked, products)
        better = (found_error < error) & free
        grid = Grid(torch.where(better, tried.scales, grid.scales), torch.where(better, tried.zeros, grid.zeros))
        codes = torch.where(better[..., None], found, codes)
        error = torch.where(better, found_error, error)
    return grid, codes


def _block_products(gram: Tensor, weight_format: WeightFormat) -> Tensor:
    """The blocks `[B, K, K]` on the diagonal of `gram`, zero where a block is padded."""
    size = weight_format.block_size
    padded = in_blocks(in_blocks(gram, weight_format).flatten(1).T, weight_format).flatten(1)
    return torch.stack([padded[at : at + size, at : at + size] for at in range(0, len(padded), size)])


def _output_error(difference: Tensor, products: Tensor) -> Tensor:
    """`[R, B]`, of differences `[R, B, K]`."""
    return (torch.einsum("rbk,bkl->rbl", difference, products) * difference).sum(-1)


def _gram_loss(weight: Tensor, gram: Tensor) -> Loss:
    def loss(other: Tensor) -> float:
        difference = other - weight
        return (difference @ gram * difference).sum(dtype=torch.float64).item()

    return loss


def _output_loss(stream: HiddenStates, block: Block, linears: list[nn.Linear]) -> Loss:
    """Of what `block` adds to the stream, each token relative to its state afterwards, on some rows of the stream."""
    wanted_rows = max(1, SEARCH_TOKENS // stream.states.shape[1])
    states = stream.states[:: max(1, len(stream.states) // wanted_rows)][:wanted_rows]
    original = [linear.weight.clone() for linear in linears]

    def output() -> Tensor:
        with stream.precision():
            inner = block.inner(states)
            result: Tensor = nn.functional.linear(inner, block.linear.weight, block.linear.bias)
        return result.float()

    wanted = output()
    shares = mean_square(states.flatten(0, 1) + wanted).reciprocal()

    def loss(other: Tensor) -> float:
        try:
            for linear, part in zip(linears, other.split([linear.out_features for linear in linears]), strict=True):
                linear.weight.copy_(part)
            return ((output() - wanted).square() * shares).mean(dtype=torch.float64).item()
        finally:
            for linear, own in zip(linears, original, strict=True):
                linear.weight.copy_(own)

    return loss
