"""A real nats-server with JetStream on a free port, and the streams that the coordinator makes in production."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, RetentionPolicy

# As coordinator/src/identity/builder-permissions.ts: what a worker may do, so that a test fails when it does more.
PERMISSIONS = {
    "publish": [
        "$JS.API.INFO",
        "$JS.API.STREAM.INFO.BUILD_JOBS",
        "$JS.API.CONSUMER.INFO.BUILD_JOBS.builders",
        "$JS.API.CONSUMER.MSG.NEXT.BUILD_JOBS.builders",
        "$JS.ACK.BUILD_JOBS.builders.>",
        "$JS.ACK.*.*.BUILD_JOBS.builders.>",
        "espalier.build.event.*",
        "espalier.build.dead.*",
        *(
            subject
            for bucket in ("inputs", "inbox")
            for subject in (
                f"$JS.API.STREAM.INFO.OBJ_{bucket}",
                f"$JS.API.STREAM.MSG.GET.OBJ_{bucket}",
                f"$JS.API.DIRECT.GET.OBJ_{bucket}",
                f"$JS.API.DIRECT.GET.OBJ_{bucket}.>",
            )
        ),
        "$O.inbox.>",
        "$JS.API.STREAM.PURGE.OBJ_inbox",
    ],
    "subscribe": ["_IN.builder.>"],
}


def nats_server_binary() -> str | None:
    """From the environment file of the bootstrap, else `NATS_SERVER`, else the path."""
    environment = Path(__file__).parents[2] / ".espalier" / "env.json"
    if environment.is_file():
        named = json.loads(environment.read_text()).get("natsServer")
        if named and Path(named).exists():
            return str(named)
    return os.environ.get("NATS_SERVER") or shutil.which("nats-server")


@contextlib.contextmanager
def running_server(folder: Path) -> Iterator[str]:
    """The address of a server on which user `builder` has a builder's permissions and `admin` all."""
    binary = nats_server_binary()
    if binary is None:
        pytest.skip("neither .espalier/env.json nor NATS_SERVER names a nats-server: the worker was not checked")
    configuration = folder / "nats.conf"
    users = [{"user": "admin", "password": "x"}, {"user": "builder", "password": "x", "permissions": PERMISSIONS}]
    jetstream = {"store_dir": str(folder / "store")}
    accounts = {"A": {"jetstream": "enabled", "users": users}}
    configuration.write_text(
        json.dumps({"host": "127.0.0.1", "port": -1, "jetstream": jetstream, "accounts": accounts})
    )
    with (folder / "nats.log").open("wb") as log:
        process = subprocess.Popen([binary, "-c", str(configuration)], stdout=log, stderr=log)  # noqa: S603
    try:
        yield f"127.0.0.1:{_port(folder / 'nats.log', process)}"
    finally:
        process.terminate()
        process.wait()


def _port(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline and process.poll() is None:
        found = re.search(r"Listening for client connections on [^:]+:(\d+)", log.read_text())
        if found and "Server is ready" in log.read_text():
            return found.group(1)
        time.sleep(0.02)
    raise RuntimeError(f"nats-server did not start: {log.read_text()}")


async def create_topology(jetstream: JetStreamContext, *, ack_wait_seconds: float = 30.0) -> None:
    """As coordinator/src/nats/topology.ts."""
    await jetstream.add_stream(
        name="BUILD_JOBS", subjects=["espalier.build.job.*"], retention=RetentionPolicy.WORK_QUEUE
    )
    await jetstream.add_stream(name="BUILD_EVENTS", subjects=["espalier.build.event.*"])
    await jetstream.add_stream(name="BUILD_DEAD", subjects=["espalier.build.dead.*"])
    await jetstream.add_consumer(
        "BUILD_JOBS",
        ConsumerConfig(
            durable_name="builders", ack_policy=AckPolicy.EXPLICIT, ack_wait=ack_wait_seconds, max_deliver=4
        ),
    )
    for bucket in ("inputs", "inbox"):
        await jetstream.create_object_store(bucket)
