"""Runs a job in a process of its own, so that a hang, a crash or the memory killer takes the job and not the worker."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from espalier_builder.worker.job_events import Step

REQUEST_FILE = "request.json"
OUTCOME_FILE = "outcome.json"
_KEPT_ERROR_BYTES = 4000


@dataclass(frozen=True, slots=True)
class Succeeded:
    """`digest` names the manifest, kit or report in the work folder."""

    digest: str


@dataclass(frozen=True, slots=True)
class Failed:
    """`final`: the same inputs fail in the same way, so nobody should try again."""

    reason: str
    final: bool


Outcome = Succeeded | Failed


async def start_job(folder: Path, on_step: Callable[[Step], None]) -> JobChild:
    """Runs the request in `folder/request.json`.

    The child watches its standard input and ends when the worker does.
    """
    return await JobChild.start_program(["-m", "espalier_builder.worker.run_job", str(folder)], folder, on_step)


class JobChild:
    """A started child. `outcome()` waits for it; `stop()` ends it and everything that it started."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path, on_step: Callable[[Step], None]) -> None:
        self._process = process
        self._folder = folder
        self._on_step = on_step
        self._errors = b""

    @staticmethod
    async def start_program(arguments: list[str], folder: Path, on_step: Callable[[Step], None]) -> JobChild:
        """Starts Python with `arguments`; steps come as JSON lines on the child's standard output."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )
        return JobChild(process, folder, on_step)

    async def outcome(self, timeout_seconds: float) -> Outcome:
        """Waits for the end; a child that takes longer than the timeout is killed."""
        try:
            async with asyncio.timeout(timeout_seconds):
                await asyncio.gather(self._read_steps(), self._read_errors())
                code = await self._process.wait()
        except TimeoutError:
            return Failed(f"JOB_TIMEOUT: no result after {timeout_seconds:.0f} s", final=False)
        finally:
            await self.stop()
        return self._read_outcome(code)

    async def stop(self) -> None:
        if self._process.returncode is None:
            # The whole session: data loaders and other helpers go with the child.
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            await self._process.wait()

    async def _read_steps(self) -> None:
        stream = self._process.stdout
        if stream is None:
            return
        async for line in stream:
            with contextlib.suppress(ValueError, KeyError, TypeError):
                value = json.loads(line)
                self._on_step(Step(value["stage"], float(value["fraction"]), value["message"]))

    async def _read_errors(self) -> None:
        stream = self._process.stderr
        while stream is not None and (data := await stream.read(65536)):
            sys.stderr.buffer.write(data)
            sys.stderr.buffer.flush()
            self._errors = (self._errors + data)[-_KEPT_ERROR_BYTES:]

    def _read_outcome(self, code: int) -> Outcome:
        path = self._folder / OUTCOME_FILE
        if not path.is_file():
            last = self._errors.decode(errors="replace").strip().splitlines()[-1:]
            killed = f"ended by signal {-code}" if code < 0 else f"ended with code {code}"
            hint = " (out of memory?)" if code == -signal.SIGKILL else ""
            return Failed(f"JOB_PROCESS_DIED: {killed}{hint}; {''.join(last)}", final=False)
        value = json.loads(path.read_text(encoding="utf8"))
        if "resultDigest" in value:
            return Succeeded(value["resultDigest"])
        return Failed(value["reason"], value["final"])
