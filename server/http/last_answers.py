"""The last complete answers of the Nodes, in files that all workers of a host share.

A Node has one file. A large block, which is that of a Domain's peers, is a file of its own that the
Nodes of the Domain share. Every file is ours alone, and has a checksum.
"""

from __future__ import annotations

import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import structlog
from cachetools import LRUCache

from composer.identity import AddressedNode
from composer.last_answers import KeptAnswer, KeptBlock
from server.replaced_files import replace_file
from server.telemetry.metrics import Metrics

# A block from this size on is shared by the Nodes of a Domain.
SHARED_BYTES = 4_096
REMEMBERED = 65_536
SHARED_KEPT = 32  # blocks of Domains that are known by their object, without their checksum
MODE = 0o600

_log = structlog.stdlib.get_logger("plexsphere.last_answers")


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
        self._folder = folder
        self._ttl = ttl
        self._max_bytes = max_bytes
        self._metrics = metrics
        self._clock = clock
        # What this process has written, and its checksum: an answer that is the same costs little.
        self._written: LRUCache[UUID, tuple[tuple[object, ...], bytes]] = LRUCache(REMEMBERED)
        self._shared: LRUCache[tuple[UUID, str], tuple[bytes, str]] = LRUCache(SHARED_KEPT)
        self._since_sweep = 0
        self._lock = threading.Lock()

    def keep(self, node: AddressedNode, digest: str, blocks: tuple[KeptBlock, ...]) -> None:
        """See composer.last_answers.LastAnswers."""
        try:
            self._keep(node, digest, blocks)
        except Exception as error:
            _log.warning("last_answer_not_kept", error=type(error).__name__)

    def of_node(self, node_id: UUID) -> KeptAnswer | None:
        """See composer.last_answers.LastAnswers."""
        try:
            content, served_at = self._read(str(node_id))
            age = max(0.0, self._clock() - served_at)
            return self._parsed(content, node_id, age) if age <= self._ttl else None
        except FileNotFoundError:
            return None
        except Exception as error:
            _log.warning("last_answer_not_used", error=str(error) or type(error).__name__)
            return None

    def forget(self, node_id: UUID) -> None:
        """See composer.last_answers.LastAnswers."""
        with self._lock:
            self._written.pop(node_id, None)
        with suppress(OSError):
            (self._folder / str(node_id)).unlink(missing_ok=True)

    def sent_again(self, node_id: UUID, age: float) -> None:
        """See composer.last_answers.LastAnswers."""
        self._metrics.stale_answers.inc()
        _log.warning("answered_without_ledger", node_id=str(node_id), age_s=int(age))

    def digests_of(self, node_id: UUID) -> tuple[bytes, ...]:
        """The digests of the Node's secret keys when it was answered; empty where that is not
        kept."""
        kept = self.of_node(node_id)
        return () if kept is None else kept.node.secret_key_digests

    def _keep(self, node: AddressedNode, digest: str, blocks: tuple[KeptBlock, ...]) -> None:
        content = (digest, node.domain_id, node.secret_key_digests, node.tokens_not_before)
        path = self._folder / str(node.id)
        if self._is_written(node.id, content, path):
            with suppress(FileNotFoundError):
                self._touch(path)
                for block in blocks:
                    if len(block.source) >= SHARED_BYTES:
                        self._part(node.domain_id, block)
                return
        parts = [self._part(node.domain_id, block) for block in blocks]
        head = {
            "node": str(node.id),
            "domain": str(node.domain_id),
            "token": node.authz_token,
            "digest": digest,
            "secret_keys": [key.hex() for key in node.secret_key_digests],
            "not_before": node.tokens_not_before and node.tokens_not_before.isoformat(),
            "blocks": parts,
        }
        checksum = self._write(str(node.id), json.dumps(head).encode())
        with self._lock:
            self._written[node.id] = content, checksum

    def _is_written(self, node_id: UUID, content: tuple[object, ...], path: Path) -> bool:
        """Whether the file is the one that this process wrote of the same answer, and no other
        worker has written another since."""
        with self._lock:
            written, checksum = self._written.get(node_id, (None, b""))
        if written != content:
            return False
        with suppress(OSError), path.open("rb") as file:
            return file.read(len(checksum)) == checksum
        return False

    def _part(self, domain_id: UUID, block: KeptBlock) -> dict[str, Any]:
        part: dict[str, Any] = {"name": block.name, "cut": block.cut}
        if len(block.source) < SHARED_BYTES:
            return {**part, "source": block.source.decode()}
        with self._lock:
            source, name = self._shared.get((domain_id, block.name), (b"", ""))
        if source is not block.source:
            name = f"shared-{sha256(block.source).hexdigest()}"
        try:
            self._touch(self._folder / name)
        except FileNotFoundError:
            self._write(name, block.source)
        with self._lock:
            self._shared[domain_id, block.name] = block.source, name
        return {**part, "shared": name}

    def _parsed(self, content: bytes, node_id: UUID, age: float) -> KeptAnswer:
        head = json.loads(content)
        if head["node"] != str(node_id):
            raise Unusable("of another Node")
        not_before = head["not_before"]
        node = AddressedNode(
            id=node_id,
            domain_id=UUID(head["domain"]),
            authz_token=head["token"],
            secret_key_digests=tuple(map(bytes.fromhex, head["secret_keys"])),
            tokens_not_before=datetime.fromisoformat(not_before) if not_before else None,
        )
        blocks = tuple(
            KeptBlock(
                part["name"],
                self._read(part["shared"])[0] if "shared" in part else part["source"].encode(),
                tuple(part["cut"]) if part["cut"] else None,
            )
            for part in head["blocks"]
        )
        return KeptAnswer(node, head["digest"], blocks, age)

    def _touch(self, path: Path) -> None:
        now = self._clock()
        os.utime(path, (now, now))

    def _write(self, name: str, content: bytes) -> bytes:
        """Replace a file; its checksum, with which it begins."""
        checksum = sha256(content).hexdigest().encode()
        file = self._folder / name
        replace_file(file, checksum + b"\n" + content, is_synced=False)
        with suppress(FileNotFoundError):  # forgotten meanwhile
            self._touch(file)
        self._since_sweep += len(content)
        if self._since_sweep > self._max_bytes // 16:
            self._since_sweep = 0
            self._sweep()
        return checksum

    def _read(self, name: str) -> tuple[bytes, float]:
        """The content and the time of a file. Raises Unusable, OSError."""
        flags = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self._folder / name, flags)
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)
            if not stat.S_ISREG(facts.st_mode) or facts.st_uid != os.geteuid():
                raise Unusable("a file that is not ours")
            if stat.S_IMODE(facts.st_mode) != MODE:
                raise Unusable("a file that others can read or write")
            checksum, _, content = file.read(self._max_bytes).partition(b"\n")
        if sha256(content).hexdigest().encode() != checksum:
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
