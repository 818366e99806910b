"""Content-addressed blobs in an object store bucket: named by the hex digits of their digest, verified on reading."""

from __future__ import annotations

import hashlib
from typing import Any

from nats.js import JetStreamContext
from nats.js.api import ObjectMeta, ObjectMetaOptions
from nats.js.errors import NotFoundError

from espalier_builder.contracts import digest_of_bytes
from espalier_builder.failure import BuilderError
from espalier_builder.worker.names import hex_of

# Chunks have 4 MiB at most; lists of very many files are a little longer.
LARGEST_BLOB_BYTES = 32 * 1024 * 1024
_MESSAGE_BYTES = 512 * 1024


class BlobBucket:
    def __init__(self, jetstream: JetStreamContext, bucket: str) -> None:
        self._jetstream = jetstream
        self._bucket = bucket

    async def has(self, digest: str) -> bool:
        try:
            await (await self._store()).get_info(hex_of(digest))
        except NotFoundError:
            return False
        return True

    async def get(self, digest: str) -> bytes:
        """The blob's bytes, verified. Raises BuilderError `BLOB_MISSING`, `BLOB_CORRUPT`.

        Reads message by message with direct gets: the client's own `get` wants to list streams, which builders may not.
        """
        try:
            info = await (await self._store()).get_info(hex_of(digest))
        except NotFoundError as error:
            raise self._missing(digest) from error
        if info.size > LARGEST_BLOB_BYTES:
            raise self._corrupt(digest, f"it has {info.size} bytes")
        return await self._read(digest, info)

    async def put(self, data: bytes) -> str:
        """Stores `data` unless it is there already; returns its digest."""
        digest = digest_of_bytes(data)
        if not await self.has(digest):
            meta = ObjectMeta(name=hex_of(digest), options=ObjectMetaOptions(max_chunk_size=_MESSAGE_BYTES))
            await (await self._store()).put(hex_of(digest), data, meta=meta)
        return digest

    async def _read(self, digest: str, info: Any) -> bytes:
        stream, subject = f"OBJ_{self._bucket}", f"$O.{self._bucket}.C.{info.nuid}"
        hashed, parts, sequence, size = hashlib.sha256(), [], 1, 0
        while size < info.size:
            try:
                message = await self._jetstream.get_msg(stream, seq=sequence, subject=subject, direct=True, next=True)
            except NotFoundError as error:
                raise self._corrupt(digest, f"it ends after {size} of {info.size} bytes") from error
            data: bytes = message.data or b""
            parts.append(data)
            hashed.update(data)
            size += len(data)
            sequence = message.seq + 1
        if hashed.hexdigest() != hex_of(digest):
            raise self._corrupt(digest, f"its bytes hash to {hashed.hexdigest()}")
        return b"".join(parts)

    async def _store(self) -> Any:
        return await self._jetstream.object_store(self._bucket)

    def _missing(self, digest: str) -> BuilderError:
        return BuilderError(
            "BLOB_MISSING",
            f"bucket {self._bucket} holds no {digest}",
            "the coordinator puts it there again when it reconciles; the job is tried again",
        )

    def _corrupt(self, digest: str, what: str) -> BuilderError:
        return BuilderError(
            "BLOB_CORRUPT",
            f"object {hex_of(digest)} of bucket {self._bucket} is not what its name says: {what}",
            "delete the object; the coordinator puts it there again when it reconciles",
        )
