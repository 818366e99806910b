"""Node's channel to a child process, and the answers that protocol.ts asks for."""

import json
import os
import socket
import time
from collections.abc import Callable


def serve_runs(started: float, run: Callable[[list[int], int], int]) -> None:
    """Answers requests with what `run(tokens, position)`, the most likely token after these, says and when.

    `started`: when loading began, by `time.perf_counter`. The first run allocates, so it counts as loading.
    """
    channel = socket.socket(fileno=int(os.environ["NODE_CHANNEL_FD"])).makefile("rw")

    def answer(tokens: list[int], new_tokens: int) -> dict[str, object]:
        times, chosen, known = [time.perf_counter()], [run(tokens, 0)], len(tokens)
        times.append(time.perf_counter())
        while len(chosen) < new_tokens:
            chosen.append(run(chosen[-1:], known))
            known += 1
            times.append(time.perf_counter())
        gaps = [1000 * (b - a) for a, b in zip(times, times[1:], strict=False)]
        return {"tokens": chosen, "firstMs": gaps[0], "stepsMs": gaps[1:]}

    def send(message: dict[str, object]) -> None:
        channel.write(json.dumps(message) + "\n")
        channel.flush()

    answer([1, 2], 2)
    send({"loadMs": 1000 * (time.perf_counter() - started)})
    for line in channel:
        request = json.loads(line)
        send(answer(request["tokens"], request["newTokens"]))
