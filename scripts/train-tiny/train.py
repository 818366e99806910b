"""Trains the bundled tiny model; stops when the validation loss no longer falls. See README.md.

    python scripts/train-tiny/train.py --data DATA --work .espalier/train-tiny

A killed run goes on where its last checkpoint was when started again with the same arguments.
"""

import math
import time
from argparse import ArgumentParser, Namespace
from collections import deque
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import LlamaForCausalLM

from architecture import CONTEXT, VOCAB_SIZE, new_model
from checkpoint import (
    TOKENIZER_FILE,
    Progress,
    load_latest,
    save_best,
    save_latest,
)
from documents import IGNORE, Batch, epoch_batches, padded_batch, plain_document, windows
from stories import TRAIN_FILE, VALID_FILE, add_data_argument, load_stories
from vocabulary import train_tokenizer


@dataclass(frozen=True, slots=True)
class Schedule:
    """Learning rate by step: linear warm-up, a cosine, and a linear cool-down to zero that cuts the cosine short.

    The cosine aims further than the run goes, so the rate is still high when the validation loss levels off;
    the cool-down then gains what a low rate gains before the model overfits.
    """

    peak: float
    warmup_steps: int
    cosine_steps: int
    cooldown_start: int
    total_steps: int

    def learning_rate(self, step: int) -> float:
        if step < self.warmup_steps:
            return self.peak * (step + 1) / self.warmup_steps
        if step < self.cooldown_start:
            return self._cosine(step)
        left = (self.total_steps - step) / (self.total_steps - self.cooldown_start)
        return self._cosine(self.cooldown_start) * max(0.0, left)

    def _cosine(self, step: int) -> float:
        """From the peak to a twentieth of it at `cosine_steps`."""
        done = min(1.0, (step - self.warmup_steps) / (self.cosine_steps - self.warmup_steps))
        return self.peak * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done)))


def new_optimizer(model: torch.nn.Module, weight_decay: float) -> torch.optim.AdamW:
    """AdamW; norm gains, the only vectors, are not decayed."""
    matrices = [each for each in model.parameters() if each.dim() >= 2]
    gains = [each for each in model.parameters() if each.dim() < 2]
    groups = [
        {"params": matrices, "weight_decay": weight_decay},
        {"params": gains, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=0.0, betas=(0.9, 0.95), fused=True)


def batch_loss(model: LlamaForCausalLM, batch: Batch, reduction: str) -> torch.Tensor:
    """Cross-entropy in nats over the learned targets, [] ; the matrix products run in bf16."""
    with torch.autocast("cpu", torch.bfloat16):
        logits = model(input_ids=batch.inputs, use_cache=False).logits  # [B, T, vocab]
    return torch.nn.functional.cross_entropy(
        logits.float().flatten(0, 1), batch.targets.flatten(), ignore_index=IGNORE, reduction=reduction
    )


@torch.inference_mode()
def validation_loss(model: LlamaForCausalLM, batches: list[Batch]) -> float:
    """Mean nats a token over plain documents."""
    total = sum(batch_loss(model, batch, "sum").item() for batch in batches)
    return total / sum(int((batch.targets != IGNORE).sum()) for batch in batches)


def validation_batches(tokenizer: Tokenizer, stories: list[str]) -> list[Batch]:
    sequences = [window for story in stories for window in windows(plain_document(tokenizer, story), CONTEXT)]
    sequences.sort(key=lambda each: len(each.ids))
    return [padded_batch(sequences[start : start + 8]) for start in range(0, len(sequences), 8)]


def prepared_tokenizer(work: Path, stories: list[str]) -> Tokenizer:
    """The work folder's tokenizer; trained first where there is none."""
    path = work / TOKENIZER_FILE
    if not path.exists():
        train_tokenizer(stories, VOCAB_SIZE).save(str(path))
    return Tokenizer.from_file(str(path))


class Run:
    """One training run; `progress` and the work folder always describe the same point."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.stories = load_stories(options.data / TRAIN_FILE)
        self.tokenizer = prepared_tokenizer(options.work, self.stories)
        held_out = load_stories(options.data / VALID_FILE)[: options.validation_stories]
        self.validation = validation_batches(self.tokenizer, held_out)
        self.model = new_model()
        self.optimizer = new_optimizer(self.model, options.weight_decay)
        self.progress: Progress = load_latest(options.work, self.model, self.optimizer)
        steps_per_epoch = len(self.batches_of(0))
        self.schedule = Schedule(
            peak=options.peak_learning_rate,
            warmup_steps=options.warmup_steps,
            cosine_steps=options.cosine_epochs * steps_per_epoch,
            cooldown_start=(options.epochs - options.cooldown_epochs) * steps_per_epoch,
            total_steps=options.epochs * steps_per_epoch,
        )
        self.saved_at = time.monotonic()
        self.recent_losses: deque[float] = deque(maxlen=steps_per_epoch)

    def batches_of(self, epoch: int) -> list[Batch]:
        seed = self.options.seed * 100_003 + epoch
        return epoch_batches(self.tokenizer, self.stories, CONTEXT, self.options.batch_tokens, seed)

    def train(self) -> None:
        """Runs the epochs that are left."""
        while self.progress.epoch < self.options.epochs:
            self.train_epoch()
            self.evaluate()
            self.save()
            if self.progress.evaluations_since_best >= self.options.patience:
                print(f"stopped: no better for {self.options.patience} epochs", flush=True)
                return

    def train_epoch(self) -> None:
        progress = self.progress
        batches = self.batches_of(progress.epoch)
        for batch in batches[progress.next_batch :]:
            started = time.monotonic()
            self.train_step(batch)
            progress.next_batch += 1
            progress.train_seconds += time.monotonic() - started
            if time.monotonic() - self.saved_at > self.options.checkpoint_seconds:
                self.save()
        progress.epoch += 1
        progress.next_batch = 0

    def train_step(self, batch: Batch) -> None:
        """One update; remembers its loss for the log."""
        for group in self.optimizer.param_groups:
            group["lr"] = self.schedule.learning_rate(self.progress.step)
        loss = batch_loss(self.model, batch, "mean")
        torch.autograd.backward(loss)
        self.recent_losses.append(loss.item())
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.optimizer.zero_grad()
        self.progress.step += 1
        self.progress.tokens_seen += int((batch.targets != IGNORE).sum())

    def evaluate(self) -> None:
        """Measures the validation loss and keeps the weights where it is the lowest so far."""
        progress = self.progress
        loss = validation_loss(self.model, self.validation)
        if loss < progress.best_loss:
            progress.best_loss = loss
            progress.evaluations_since_best = 0
            save_best(self.options.work, self.model)
        else:
            progress.evaluations_since_best += 1
        train_loss = sum(self.recent_losses) / max(1, len(self.recent_losses))
        print(
            f"epoch {progress.epoch} step {progress.step} tokens {progress.tokens_seen / 1e6:.2f}M"
            f" seconds {progress.train_seconds:.0f} train loss {train_loss:.4f}"
            f" validation loss {loss:.4f} perplexity {math.exp(loss):.3f} best {progress.best_loss:.4f}",
            flush=True,
        )

    def save(self) -> None:
        save_latest(self.options.work, self.model, self.optimizer, self.progress)
        self.saved_at = time.monotonic()


def parse_options() -> Namespace:
    parser = ArgumentParser(description=__doc__)
    add_data_argument(parser)
    parser.add_argument("--work", type=Path, required=True, help="folder for checkpoints")
    parser.add_argument("--epochs", type=int, default=16)
    parser.add_argument("--cosine-epochs", type=int, default=22, help="where the cosine would end")
    parser.add_argument("--cooldown-epochs", type=int, default=4, help="the last epochs, linear to zero")
    parser.add_argument("--batch-tokens", type=int, default=3072)
    parser.add_argument("--peak-learning-rate", type=float, default=3e-3)
    parser.add_argument("--weight-decay", type=float, default=0.3)
    parser.add_argument("--warmup-steps", type=int, default=150)
    parser.add_argument("--validation-stories", type=int, default=128)
    parser.add_argument("--patience", type=int, default=4, help="epochs without a better loss")
    parser.add_argument("--checkpoint-seconds", type=float, default=180)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


def main() -> None:
    options = parse_options()
    options.work.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    Run(options).train()


if __name__ == "__main__":
    main()
