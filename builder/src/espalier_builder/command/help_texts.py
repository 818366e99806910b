"""What `--help` says beside the options: an example of each command, and how a recipe is written."""

from __future__ import annotations

EXAMPLES = {
    "build": """\
espalier-builder build --model ./SmolLM2 --recipe q8.json --calibration train.jsonl --eval valid.jsonl --out ./q8""",
    "sensitivity": """\
espalier-builder sensitivity --model ./SmolLM2 --candidates recipes.json --eval valid.jsonl --out ./sensitivity""",
    "kit": """\
espalier-builder kit --model ./SmolLM2 --format q8b128 --format q4b32a --out ./kit""",
    "prune": """\
espalier-builder prune --model ./SmolLM2 --recipe pruned.json --calibration train.jsonl --out ./pruned""",
    "compare": """\
espalier-builder compare --model ./SmolLM2 --methods cfsp-rel+refit,shortgpt+refit --sparsity 0.15,0.3 \\
    --calibration train.jsonl --eval valid.jsonl --out comparison.json""",
    "search": """\
espalier-builder search --model ./SmolLM2 --floor 'agreement>=0.9' --eval valid.jsonl --out ./search""",
    "report": """\
espalier-builder report --model ./SmolLM2 --variant ./q8 --eval valid.jsonl --out q8.html""",
    "tasks": """\
espalier-builder tasks --model ./SmolLM2 --variant ./q8 --variant ./q4 --task arc_easy.jsonl --out answers.json""",
    "recover": """\
espalier-builder recover --model ./pruned --dense ./SmolLM2 --distil --text train.jsonl --out ./recovered""",
    "iterate": """\
espalier-builder iterate --model ./SmolLM2 --sparsity 0.4 --distil --text train.jsonl --out ./steps""",
    "worker": """\
espalier-builder worker --nats nats://127.0.0.1:4222 --creds builder.creds --cache ./cache""",
}
METHODS = """\
pruning methods: none; FFN width: random, magnitude, cfsp, cfsp-rel, minillm, minillm-gate, obs; width and heads: flap;
whole layers: tail, shortgpt, angular; masks: mask-magnitude, mask-magnitude-global, wanda, sparsegpt, barber-magnitude,
barber-wanda, barber-sparsegpt. Which to take for what: builder/README.md."""
NAMED_METHODS = f"""\
{METHODS}
+refit or +refit-one-pass may follow where neurons go (cfsp-rel+refit), +refit where layers go, +2:4 or +4:8 a mask."""
RECIPE = f"""\
a recipe is JSON: what to prune and how to store the weights, e.g.
  {{"schemaVersion": 1,
   "pruning": {{"method": "cfsp-rel", "sparsity": 0.2, "alignment": 32, "refit": true}},
   "quantization": {{"method": "rtn", "bits": 8, "blockSize": 128, "symmetric": true, "accuracyLevel": 4}}}}
{METHODS}
"refit" solves again what lost inputs: true layer after layer, "one-pass" each layer by itself (cheaper from the second
recipe on, and worse), false not at all; where whole layers go it is true or absent; masks have none, obs refits always;
masks have "sparsity" and "pattern" (free, 2:4, 4:8);
quantization methods: none (fp32); rounding: rtn; on calibration text: gptq, awq, awq-gptq, smoothquant; trained: qat.
"bits": {{"mixed": 5}} stores each matrix with 4 or 8 bits, whichever it needs more, in the bytes of 5 bits everywhere.
"kvCache": "int8" beside them calibrates scales for a KV cache of half the bytes that the agent's kernels keep else."""
ENDINGS = """\
Progress goes to standard error, the result to standard output as JSON.
exit codes: 0 done, 1 refused with a reason, 2 wrong usage, 130 interrupted."""


def overview() -> str:
    """What follows the list of commands."""
    examples = "\n".join(f"  {example}" for example in EXAMPLES.values())
    return f"examples:\n{examples}\n\n{RECIPE}\n\n{ENDINGS}\n"


def after(command: str) -> str:
    """What follows the options of `command`."""
    more = dict.fromkeys(("build", "sensitivity", "prune"), RECIPE)
    more |= dict.fromkeys(("compare", "search", "iterate"), NAMED_METHODS)
    parts = [f"example:\n  {EXAMPLES[command]}", *([more[command]] if command in more else []), ENDINGS]
    return "\n\n".join(parts) + "\n"
