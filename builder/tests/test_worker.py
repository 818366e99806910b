"""The worker against a real broker, with a builder's permissions, and real child processes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nats
import pytest
from nats.aio.client import Client
from nats.js import JetStreamContext

from espalier_builder.artifact.file_tree import file_tree
from espalier_builder.contracts import canonical_json, digest_of_bytes, digest_of_json, validate
from espalier_builder.worker import child
from espalier_builder.worker.attempt import AttemptSettings
from espalier_builder.worker.blob_bucket import BlobBucket
from espalier_builder.worker.end_task import end_task
from espalier_builder.worker.names import INBOX_PREFIX
from espalier_builder.worker.worker import Worker, WorkerSettings
from nats_server import create_topology, running_server
from random_decoder import save_checkpoint

DEADLINE_SECONDS = 60
FORMATS = [{"bits": 8, "blockSize": 32, "symmetric": True, "accuracyLevel": 4}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_server(tmp_path_factory.mktemp("nats")) as address:
        yield address


@dataclass
class Broker:
    """`admin` stands for the coordinator."""

    admin: JetStreamContext
    builder: Client

    async def submit(self, job: dict[str, Any]) -> dict[str, Any]:
        named = {**job, "jobId": digest_of_json(job)}
        await self.publish(canonical_json(named), named["jobId"])
        return named

    async def publish(self, data: bytes, job_id: str) -> None:
        await self.admin.publish(f"espalier.build.job.{job_id.removeprefix('sha256:')}", data)

    async def messages(self, stream: str) -> list[dict[str, Any]]:
        state = (await self.admin.stream_info(stream)).state
        found = []
        for sequence in range(state.first_seq, state.last_seq + 1):
            found.append(json.loads((await self.admin.get_msg(stream, seq=sequence)).data or b""))
        return found

    async def queued(self) -> int:
        return int((await self.admin.stream_info("BUILD_JOBS")).state.messages)

    async def put_model(self, folder: Path) -> str:
        inputs = BlobBucket(self.admin, "inputs")
        tree = file_tree(folder, "model")
        for entry in tree["files"]:
            data = (folder / entry["path"]).read_bytes()
            offset = 0
            for chunk in entry["chunks"]:
                await inputs.put(data[offset : offset + chunk["sizeBytes"]])
                offset += chunk["sizeBytes"]
        return await inputs.put(canonical_json(tree))


@contextlib.asynccontextmanager
async def broker(address: str, **topology: float) -> AsyncIterator[Broker]:
    admin = await nats.connect(f"nats://admin:x@{address}")
    jetstream = admin.jetstream()
    await create_topology(jetstream, **topology)
    builder = await nats.connect(f"nats://builder:x@{address}", inbox_prefix=INBOX_PREFIX.encode())
    try:
        yield Broker(jetstream, builder)
    finally:
        await builder.close()
        for stream in ("BUILD_JOBS", "BUILD_EVENTS", "BUILD_DEAD", "OBJ_inputs", "OBJ_inbox"):
            await jetstream.delete_stream(stream)
        await admin.close()


@contextlib.asynccontextmanager
async def working(broker: Broker, cache: Path, *, job_timeout_seconds: float = DEADLINE_SECONDS) -> AsyncIterator[None]:
    settings = WorkerSettings(
        builder_id="tested",
        attempt=AttemptSettings(cache=cache, job_timeout_seconds=job_timeout_seconds, device="cpu"),
        retry_delays_seconds=(0.05,),
        keep_alive_seconds=0.2,
        flush_seconds=0.1,
        poll_seconds=0.5,
    )
    running = asyncio.create_task(Worker(broker.builder, settings).run())
    try:
        yield
        assert not running.done(), "the worker's loop ended"
    finally:
        await end_task(running)


async def until(holds: Callable[[], Any]) -> None:
    async with asyncio.timeout(DEADLINE_SECONDS):
        while not await holds():
            await asyncio.sleep(0.05)


def kit_job(model_digest: str) -> dict[str, Any]:
    return {
        "schemaVersion": 1,
        "kind": "kit",
        "modelDigest": model_digest,
        "requirements": {"memoryBytes": 0, "gpu": False},
        "formats": FORMATS,
    }


def replace_child(monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    """Runs `program` where a job would run, in a process started and watched as the real one."""

    async def start(folder: Path, on_step: Callable[[Any], None]) -> child.JobChild:
        return await child.JobChild.start_program(["-c", program, str(folder)], folder, on_step)

    monkeypatch.setattr("espalier_builder.worker.attempt.start_job", start)


def test_a_job_is_fetched_built_handed_in_and_acknowledged_last(server: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with broker(server) as there, working(there, tmp_path / "cache"):
            digest = await there.put_model(save_checkpoint(tmp_path / "model"))
            job = await there.submit(kit_job(digest))
            await until(lambda: _is_empty(there))
            events = await there.messages("BUILD_EVENTS")
            for event in events:
                validate("BuildProgress", event)
            assert [event["sequence"] for event in events] == list(range(len(events)))
            assert [event["fraction"] for event in events] == sorted(event["fraction"] for event in events)
            assert {event["state"] for event in events[:-1]} == {"running"}
            assert events[-1]["state"] == "succeeded"
            assert {(event["jobId"], event["attempt"]) for event in events} == {(job["jobId"], 1)}
            inbox = BlobBucket(there.admin, "inbox")
            kit = json.loads(await inbox.get(events[-1]["resultDigest"]))
            validate("Kit", kit)
            assert kit["modelDigest"] == digest
            for entry in kit["files"]:
                parts = [await inbox.get(chunk["digest"]) for chunk in entry["chunks"]]
                assert digest_of_bytes(b"".join(parts)) == entry["digest"]

    asyncio.run(story())


def test_a_malformed_job_is_a_dead_letter_at_once_and_the_queue_flows_on(server: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with broker(server) as there, working(there, tmp_path / "cache"):
            named = digest_of_json("anything")
            await there.publish(b'{"kind": "kit"', named)
            renamed = {**kit_job(named), "jobId": digest_of_json("another content")}
            await there.publish(canonical_json(renamed), renamed["jobId"])
            await until(lambda: _is_empty(there))
            letters = await there.messages("BUILD_DEAD")
            assert [letter["attempts"] for letter in letters] == [1, 1]
            assert all(letter["reason"].startswith("JOB_MALFORMED") for letter in letters)
            assert letters[1]["job"] == renamed
            assert [event["state"] for event in await there.messages("BUILD_EVENTS")] == ["dead", "dead"]

    asyncio.run(story())


def test_missing_inputs_are_tried_four_times_and_then_given_up_with_the_reason(server: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with broker(server) as there, working(there, tmp_path / "cache"):
            job = await there.submit(kit_job(digest_of_json("a model that nobody put there")))
            await until(lambda: _is_empty(there))
            (letter,) = await there.messages("BUILD_DEAD")
            assert letter["attempts"] == 4
            assert letter["job"] == job
            assert letter["reason"].startswith("BLOB_MISSING")
            states = [event["state"] for event in await there.messages("BUILD_EVENTS")]
            assert states == ["retrying", "retrying", "retrying", "dead"]

    asyncio.run(story())


def test_a_blob_that_is_not_what_its_name_says_is_refused(server: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with broker(server) as there, working(there, tmp_path / "cache"):
            digest = digest_of_json("what the name promises")
            bucket = await there.admin.object_store("inputs")
            await bucket.put(digest.removeprefix("sha256:"), b"something else")
            await there.submit(kit_job(digest))
            await until(lambda: _is_empty(there))
            (letter,) = await there.messages("BUILD_DEAD")
            assert letter["reason"].startswith("BLOB_CORRUPT")

    asyncio.run(story())


def test_a_model_at_fault_is_not_tried_again(server: str, tmp_path: Path) -> None:
    async def story() -> None:
        folder = tmp_path / "model"
        folder.mkdir()
        (folder / "pytorch_model.bin").write_bytes(b"\x80\x04a pickle")
        async with broker(server) as there, working(there, tmp_path / "cache"):
            await there.submit(kit_job(await there.put_model(folder)))
            await until(lambda: _is_empty(there))
            (letter,) = await there.messages("BUILD_DEAD")
            assert letter["attempts"] == 1
            assert letter["reason"].startswith("CHECKPOINT_PICKLE")

    asyncio.run(story())


def test_a_job_that_hangs_is_stopped_and_the_next_one_runs(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_child(monkeypatch, "import time; time.sleep(600)")

    async def story() -> None:
        async with broker(server) as there, working(there, tmp_path / "cache", job_timeout_seconds=0.2):
            digest = await there.put_model(save_checkpoint(tmp_path / "model"))
            for formats in (FORMATS, [{**FORMATS[0], "blockSize": 128}]):
                await there.submit({**kit_job(digest), "formats": formats})
            await until(lambda: _is_empty(there))
            letters = await there.messages("BUILD_DEAD")
            assert [letter["attempts"] for letter in letters] == [4, 4]
            assert all("JOB_TIMEOUT" in letter["reason"] for letter in letters)

    asyncio.run(story())


def test_a_child_killed_for_memory_costs_the_job_and_not_the_worker(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_child(monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")

    async def story() -> None:
        async with broker(server) as there, working(there, tmp_path / "cache"):
            await there.submit(kit_job(await there.put_model(save_checkpoint(tmp_path / "model"))))
            await until(lambda: _is_empty(there))
            (letter,) = await there.messages("BUILD_DEAD")
            assert "out of memory" in letter["reason"]

    asyncio.run(story())


def test_a_long_job_is_kept_alive_past_the_ack_wait(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace_child(
        monkeypatch,
        "import json, sys, time\n"
        "from pathlib import Path\n"
        "for share in range(20):\n"
        "    print(json.dumps({'stage': 's', 'fraction': share / 20, 'message': ''}), flush=True)\n"
        "    time.sleep(0.15)\n"
        "Path(sys.argv[1], 'outcome.json').write_text(json.dumps({'reason': 'E: ended', 'final': True}))\n",
    )

    async def story() -> None:
        async with broker(server, ack_wait_seconds=1.0) as there, working(there, tmp_path / "cache"):
            await there.submit(kit_job(await there.put_model(save_checkpoint(tmp_path / "model"))))
            await until(lambda: _is_empty(there))
            events = await there.messages("BUILD_EVENTS")
            assert {event["attempt"] for event in events} == {1}
            gaps = [later["atMs"] - event["atMs"] for event, later in itertools.pairwise(events)]
            assert len(events) >= 3
            assert max(gaps) < 2000

    asyncio.run(story())


def test_a_job_withdrawn_from_the_queue_is_stopped(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pid_file = tmp_path / "pid"
    replace_child(
        monkeypatch,
        f"import os, pathlib, time; pathlib.Path({str(pid_file)!r}).write_text(str(os.getpid())); time.sleep(600)",
    )

    async def story() -> None:
        async with broker(server) as there, working(there, tmp_path / "cache"):
            await there.submit(kit_job(await there.put_model(save_checkpoint(tmp_path / "model"))))
            await until(lambda: _exists(pid_file))
            await there.admin.purge_stream("BUILD_JOBS")
            pid = pid_file.read_text()
            await until(lambda: _is_gone(pid))

    asyncio.run(story())


def test_the_command_works_until_it_is_told_to_end(server: str, tmp_path: Path) -> None:
    async def story() -> None:
        async with broker(server) as there:
            digest = await there.put_model(save_checkpoint(tmp_path / "model"))
            await there.submit(kit_job(digest))
            command = [sys.executable, "-m", "espalier_builder", "worker", "--nats", f"nats://builder:x@{server}"]
            worker = await asyncio.create_subprocess_exec(*command, "--cache", str(tmp_path / "cache"))
            await until(lambda: _is_empty(there))
            worker.send_signal(signal.SIGTERM)
            async with asyncio.timeout(DEADLINE_SECONDS):
                assert await worker.wait() == 0
            assert (await there.messages("BUILD_EVENTS"))[-1]["state"] == "succeeded"

    asyncio.run(story())


def test_a_worker_told_to_end_in_a_job_gives_it_back_at_once(
    server: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started = tmp_path / "started"
    replace_child(
        monkeypatch, f"import pathlib, time; pathlib.Path({str(started)!r}).write_text('yes'); time.sleep(600)"
    )

    async def story() -> None:
        async with broker(server) as there:
            async with working(there, tmp_path / "cache"):
                await there.submit(kit_job(await there.put_model(save_checkpoint(tmp_path / "model"))))
                await until(lambda: _exists(started))
            subscription = await there.admin.pull_subscribe_bind(consumer="builders", stream="BUILD_JOBS")
            (message,) = await subscription.fetch(1, timeout=5)
            assert message.metadata.num_delivered == 2

    asyncio.run(story())


def test_the_process_of_a_job_ends_with_its_worker(tmp_path: Path) -> None:
    # A pipe that nobody writes to: the job never gets past reading its request.
    os.mkfifo(tmp_path / child.REQUEST_FILE)
    command = [sys.executable, "-m", "espalier_builder.worker.run_job", str(tmp_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as orphan:  # noqa: S603
        assert orphan.stdin is not None
        orphan.stdin.close()
        assert orphan.wait(DEADLINE_SECONDS) == 1


async def _is_empty(there: Broker) -> bool:
    return await there.queued() == 0


async def _exists(path: Path) -> bool:
    return path.exists() and path.read_text() != ""


async def _is_gone(pid: str) -> bool:
    return not Path("/proc", pid).exists()
