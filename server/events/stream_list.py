"""The streams of a Domain, listed: whoever asks on SUBJECT is answered by every process.

Nobody writes down which Node has a stream: an answer is made when somebody asks.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol
from uuid import UUID

from nats.aio.client import Client
from nats.errors import TimeoutError as NoAnswer

from server.events.nats import NatsConnection

SUBJECT = "plexsphere.streams"
STREAMS_IN_AN_ANSWER = 5_000  # a message of NATS has 1 MiB at most
# After the last answer for so long, every process has answered.
SILENT_SECONDS = 1.0
LONGEST_SECONDS = 5.0


class ListedStream(Protocol):
    """A stream, as the list shows it."""

    node_id: UUID
    began_at: float  # monotonic seconds

    @property
    def unread(self) -> int:
        """Bytes that the client has not taken yet."""
        ...


@dataclass(frozen=True, slots=True)
class NodeStream:
    """A stream of a Node: its age, and the bytes that its client has not taken yet."""

    process: str
    node_id: str
    seconds: int
    unread_bytes: int


@dataclass(frozen=True, slots=True)
class StreamProcess:
    """A process that serves streams: ``name`` is host and pid, ``behind`` counts events of the bus
    that it has not read yet."""

    name: str
    behind: int


@dataclass(frozen=True, slots=True)
class StreamList:
    """The processes that have answered, and their streams of the Domain."""

    processes: tuple[StreamProcess, ...]
    streams: tuple[NodeStream, ...]


def answers(streams: Sequence[ListedStream], behind: int) -> Iterator[bytes]:
    """The messages with which a process answers a question about a Domain; at least one."""
    now = time.monotonic()
    found = [[str(each.node_id), int(now - each.began_at), each.unread] for each in streams]
    for start in range(0, max(1, len(found)), STREAMS_IN_AN_ANSWER):
        value = {
            "process": f"{socket.gethostname()}:{os.getpid()}",
            "behind": behind,
            "streams": found[start : start + STREAMS_IN_AN_ANSWER],
        }
        yield json.dumps(value, separators=(",", ":")).encode()


def list_streams(connection: NatsConnection, domain_id: UUID) -> StreamList:
    """Ask every process. Raises EventStreamUnavailable."""

    async def ask(client: Client) -> list[dict[str, Any]]:
        inbox = client.new_inbox()
        replies = await client.subscribe(inbox)
        await client.publish(SUBJECT, str(domain_id).encode(), reply=inbox)
        found: list[dict[str, Any]] = []
        until = time.monotonic() + LONGEST_SECONDS - SILENT_SECONDS
        while time.monotonic() < until:
            try:
                message = await replies.next_msg(SILENT_SECONDS)
            except NoAnswer:
                break
            if not message.data:  # the server says that nobody listens
                break
            found.append(json.loads(message.data))
        await replies.unsubscribe()
        return found

    return _joined(connection.call(ask, LONGEST_SECONDS))


def _joined(found: Sequence[dict[str, Any]]) -> StreamList:
    processes = {answer["process"]: answer["behind"] for answer in found}
    return StreamList(
        tuple(StreamProcess(name, behind) for name, behind in sorted(processes.items())),
        tuple(
            NodeStream(answer["process"], *stream)
            for answer in found
            for stream in answer["streams"]
        ),
    )
