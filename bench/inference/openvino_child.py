"""OpenVINO, asked through Node's channel as protocol.ts has it. Arguments: builder/bench, model file, threads."""

import sys
import time
from pathlib import Path

from channel import serve_runs

sys.path.append(sys.argv[1])
from openvino_graph import OpenVinoDecoder  # noqa: E402

path, threads = Path(sys.argv[2]), int(sys.argv[3])
started = time.perf_counter()
decoder = OpenVinoDecoder(path, threads)


def run(tokens: list[int], position: int) -> int:
    """The most likely token after these."""
    if position == 0:
        decoder.forget()
    return int(decoder.logits(tokens, position)[-1].argmax())


serve_runs(started, run)
