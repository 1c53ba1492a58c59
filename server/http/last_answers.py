"""The last complete answers of the Nodes, in files that all workers of a host share.

A Node has one file. It begins with its checksum, and then has the block that changes without a new
digest, with a checksum of its own, so that this block is replaced in its place. A large block, that
of a Domain's peers, is a file of its own that the Nodes of the Domain share, and has a checksum
too. Every file is ours alone.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID
from zlib import crc32

import structlog

from composer.identity import AddressedNode
from composer.last_answers import KeptAnswer, KeptBlock
from composer.memory import Memory
from server.replaced_files import replace_file
from server.telemetry.metrics import Metrics

# A block from this size on is shared by the Nodes of a Domain.
SHARED_BYTES = 4_096
REMEMBERED_BYTES = 32 * 1024 * 1024  # of about 550 bytes for each Node
SHARED = "shared-"
SHARED_KEPT = 32  # blocks of Domains that are known by their object, without their checksum
# The file of a shared block is given a new time this often within the time that answers are kept.
SHARED_TOUCHES = 16
MODE = 0o600
# The clock of this machine is set back so far and no further without a doubt about ages.
STEP_SECONDS = 2.0
# The times of heartbeats are no part of the digest.
UNDIGESTED = "reachability"
UNDIGESTED_BYTES = 256  # with checksum and padding
CHECKSUM_BYTES = 64

_log = structlog.stdlib.get_logger("plexsphere.last_answers")


@dataclass(slots=True)
class WrittenFile:
    """A file as this process has left it. Another worker's has another inode or another time."""

    checksum: bytes
    inode: int
    touched_ns: int
    undigested: bytes = b""
    content: tuple[object, ...] = ()  # the answer that it was made of


@dataclass(frozen=True, slots=True)
class SharedBlock:
    """A block in a file of its own, and when that file got its time."""

    source: bytes
    name: str
    touched_at: float


@dataclass(frozen=True, slots=True)
class NodeFile:
    """The content of a Node's file; ``undigested`` is padded."""

    node: AddressedNode
    digest: str
    parts: list[dict[str, Any]]
    undigested: bytes
    age: float


class Unusable(Exception):
    """A file that is not ours alone, is torn, or is of another release."""


class FileLastAnswers:
    """Implements composer.last_answers.LastAnswers. Thread-safe."""

    is_enabled = True

    def __init__(
        self,
        folder: Path,
        ttl: float,
        max_bytes: int,
        metrics: Metrics,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """An answer is kept for ``ttl`` seconds; all files have at most about ``max_bytes``.
        ``clock`` is that of the files' times."""
        self._folder = str(folder)
        self._ttl = ttl
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._clock = clock
        # What this process has written, and its checksum: an answer that is the same costs little.
        self._written: Memory[WrittenFile] = Memory(REMEMBERED_BYTES)
        self._shared: OrderedDict[tuple[UUID, str], SharedBlock] = OrderedDict()
        self._since_sweep = 0
        self._lock = threading.Lock()

    def keep(self, node: AddressedNode, digest: str, blocks: Sequence[KeptBlock]) -> None:
        """See composer.last_answers.LastAnswers."""
        try:
            self._keep(node, digest, blocks)
        except Exception as error:
            _log.warning("last_answer_not_kept", error=type(error).__name__)

    def of_node(self, node_id: UUID) -> KeptAnswer | None:
        """See composer.last_answers.LastAnswers."""
        try:
            found = self._head(node_id)
            return self._answer(found) if found is not None else None
        except FileNotFoundError:
            return None
        except Exception as error:
            _log.warning("last_answer_not_used", error=str(error) or type(error).__name__)
            return None

    def forget(self, node_id: UUID) -> None:
        """See composer.last_answers.LastAnswers."""
        with suppress(OSError):
            os.unlink(self._path(str(node_id)))

    def sent_again(self, node_id: UUID, age: float) -> None:
        """See composer.last_answers.LastAnswers."""
        self._metrics.stale_answers.inc()
        _log.warning("answered_without_ledger", node_id=str(node_id), age_s=int(age))

    def digests_of(self, node_id: UUID) -> tuple[bytes, ...]:
        """See composer.last_answers.LastAnswers."""
        with suppress(Exception):
            found = self._head(node_id)
            if found is not None:
                return found.node.secret_key_digests
        return ()

    def _keep(self, node: AddressedNode, digest: str, blocks: Sequence[KeptBlock]) -> None:
        content = (
            digest,
            node.domain_id,
            node.secret_key_digests,
            node.tokens_not_before,
        )
        name = str(node.id)
        undigested = next((block.source for block in blocks if block.name == UNDIGESTED), b"")
        written = self._written.get(node.id)
        if written is not None and written.content == content and self._is_there(name, written):
            with suppress(FileNotFoundError):
                self._replace_undigested(name, written, undigested)
                written.touched_ns = self._touch(name)
                for block in blocks:
                    if len(block.source) >= SHARED_BYTES:
                        self._shared_name(node.domain_id, block)
                return
        parts = [self._part(node.domain_id, block) for block in blocks]
        head = {
            "node": name,
            "domain": str(node.domain_id),
            "digest": digest,
            "secret_keys": [key.hex() for key in node.secret_key_digests],
            "not_before": node.tokens_not_before and node.tokens_not_before.isoformat(),
            "blocks": parts,
        }
        written = self._write(name, _padded(undigested) + json.dumps(head).encode())
        written.content, written.undigested = content, undigested
        self._written.put(node.id, written, 350)

    def _is_there(self, name: str, written: WrittenFile) -> bool:
        """Whether the file is what this process has written, or another worker has written the
        same."""
        with suppress(OSError):
            facts = os.stat(self._path(name))
            if (facts.st_ino, facts.st_mtime_ns) == (written.inode, written.touched_ns):
                return True
            with open(self._path(name), "rb") as file:
                # Of another worker, whose answer may have had another undigested block.
                written.inode, written.undigested = facts.st_ino, b""
                return file.read(len(written.checksum)) == written.checksum
        return False

    def _replace_undigested(self, name: str, written: WrittenFile, undigested: bytes) -> None:
        """Raises FileNotFoundError where the file is gone, or is another one by now."""
        if undigested == written.undigested:
            return
        descriptor = os.open(self._path(name), os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            if os.fstat(descriptor).st_ino != written.inode:
                raise FileNotFoundError(name)
            os.pwrite(descriptor, _padded(undigested), CHECKSUM_BYTES + 1)
        finally:
            os.close(descriptor)
        written.undigested = undigested

    def _part(self, domain_id: UUID, block: KeptBlock) -> dict[str, Any]:
        part: dict[str, Any] = {"name": block.name, "cut": block.cut}
        if block.name == UNDIGESTED:
            return part
        if len(block.source) < SHARED_BYTES:
            return {**part, "source": block.source.decode()}
        return {**part, "shared": self._shared_name(domain_id, block)}

    def _shared_name(self, domain_id: UUID, block: KeptBlock) -> str:
        """The file of a large block, whose time is new enough for a sweep to leave it alone."""
        key = domain_id, block.name
        shared = self._shared.get(key)
        now = self._clock()
        if shared is None or shared.source is not block.source:
            name = f"{SHARED}{sha256(block.source).hexdigest()}"
        elif now - shared.touched_at < self._ttl / SHARED_TOUCHES:
            return shared.name
        else:
            name = shared.name
        try:
            self._touch(name)
        except FileNotFoundError:
            self._write(name, block.source)
        with self._lock:
            self._shared[key] = SharedBlock(block.source, name, now)
            self._shared.move_to_end(key)  # those that are used stay
            if len(self._shared) > SHARED_KEPT:
                self._shared.popitem(last=False)
        return name

    def _head(self, node_id: UUID) -> NodeFile | None:
        """The file of the Node, without the shared blocks; None where it is too old, or of a later
        time: the clock was set back since, and its age is not known."""
        content, served_at = self._read(str(node_id), skipped=UNDIGESTED_BYTES)
        age = self._clock() - served_at
        if not -STEP_SECONDS <= age <= self._ttl:
            return None
        head = json.loads(content[UNDIGESTED_BYTES:])
        if head["node"] != str(node_id):
            raise Unusable("of another Node")
        not_before = head["not_before"]
        node = AddressedNode(
            id=node_id,
            domain_id=UUID(head["domain"]),
            authz_token=None,
            secret_key_digests=tuple(map(bytes.fromhex, head["secret_keys"])),
            tokens_not_before=datetime.fromisoformat(not_before) if not_before else None,
        )
        return NodeFile(
            node=node,
            digest=head["digest"],
            parts=head["blocks"],
            undigested=content[:UNDIGESTED_BYTES],
            age=max(0.0, age),
        )

    def _answer(self, file: NodeFile) -> KeptAnswer:
        def source(part: dict[str, Any]) -> bytes:
            if part["name"] == UNDIGESTED:
                return _unpadded(file.undigested)
            return self._read(part["shared"])[0] if "shared" in part else part["source"].encode()

        blocks = tuple(
            KeptBlock(part["name"], source(part), tuple(part["cut"]) if part["cut"] else None)
            for part in file.parts
        )
        return KeptAnswer(node=file.node, digest=file.digest, blocks=blocks, age=file.age)

    def _path(self, name: str) -> str:
        return f"{self._folder}/{name}"

    def _touch(self, name: str) -> int:
        """Give a file the time of now, which is returned in nanoseconds."""
        now = int(self._clock() * 1e9)
        os.utime(self._path(name), ns=(now, now))
        return now

    def _write(self, name: str, content: bytes) -> WrittenFile:
        """Replace a file. It begins with its checksum, which for a Node is without the undigested
        block."""
        skipped = 0 if name.startswith(SHARED) else UNDIGESTED_BYTES
        checksum = sha256(content[skipped:]).hexdigest().encode()
        file = Path(self._path(name))
        facts = replace_file(file, checksum + b"\n" + content, is_synced=False)
        touched_ns = 0
        with suppress(FileNotFoundError):  # forgotten meanwhile
            touched_ns = self._touch(name)
        self._since_sweep += len(content)
        if self._since_sweep > self._max_bytes // 16:
            self._since_sweep = 0
            self._sweep()
        return WrittenFile(checksum, facts.st_ino, touched_ns)

    def _read(self, name: str, skipped: int = 0) -> tuple[bytes, float]:
        """The content and the time of a file, whose checksum is that of the bytes after
        ``skipped``. Raises Unusable, OSError."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._path(name), flags)
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                raise Unusable("a file that is not ours")
            if stat.S_IMODE(facts.st_mode) != MODE:
                raise Unusable("a file that others can read or write")
            checksum, _, content = file.read(self._max_bytes).partition(b"\n")
        if sha256(content[skipped:]).hexdigest().encode() != checksum:
            raise Unusable("a torn file")
        return content, facts.st_mtime

    def _sweep(self) -> None:
        """Delete the oldest files until all have at most nine tenths of the bytes, and those that
        are too old."""
        files = sorted(self._files(), reverse=True)
        size, now = 0, self._clock()
        for changed_at, length, path in files:
            size += length
            if size > 0.9 * self._max_bytes or now - changed_at > self._ttl:
                with suppress(OSError):
                    path.unlink()

    def _files(self) -> Iterator[tuple[float, int, Path]]:
        for entry in os.scandir(self._folder):
            with suppress(OSError):
                facts = entry.stat(follow_symlinks=False)
                yield facts.st_mtime, facts.st_size, Path(entry.path)


def _padded(source: bytes) -> bytes:
    line = b"%08x %s" % (crc32(source), source)
    if len(line) >= UNDIGESTED_BYTES:
        raise Unusable("a block that is too long")
    return line.ljust(UNDIGESTED_BYTES - 1) + b"\n"


def _unpadded(padded: bytes) -> bytes:
    checksum, _, source = padded.rstrip().partition(b" ")
    if checksum != b"%08x" % crc32(source):
        raise Unusable("a torn block")
    return source
