"""The stream of events in JetStream, as the publisher writes to it."""

from __future__ import annotations

import structlog
from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import Header, StreamInfo

from composer.events import LedgerEvent
from server.events.nats import (
    DOMAIN_HEADER,
    SEQ_HEADER,
    STREAM,
    SUBJECT_PREFIX,
    NatsConnection,
    ensured_stream,
)

ANSWER_SECONDS = 2.0  # for one acknowledgement

_log = structlog.stdlib.get_logger("plexsphere.events")


class StreamWriter:
    """Appends to the stream, one message after another. For one thread.

    Each message names the sequence that it expects before it. So a publisher that was frozen, and
    replaced meanwhile, cannot append an old message behind newer ones.
    """

    def __init__(self, connection: NatsConnection, replicas: int) -> None:
        """``replicas`` is for a stream that does not exist yet."""
        self._connection = connection
        self._replicas = replicas
        self._jetstream: JetStreamContext | None = None
        self._last = 0

    def open(self) -> None:
        """Make the stream unless it exists, and learn its last sequence.

        One that has less than this writer has seen is an older copy, or lost what was not on its
        disk. It is made anew, because its next positions were other events' already. Not so in a
        cluster: it loses nothing, and a new leader may not know everything yet.
        Raises EventStreamUnavailable.
        """
        self._jetstream = None
        self._jetstream, info = self._connection.call(self._opened, ANSWER_SECONDS)
        self._last = info.state.last_seq

    async def _opened(self, client: Client) -> tuple[JetStreamContext, StreamInfo]:
        jetstream, info = await ensured_stream(client, self._replicas)
        if info.config.num_replicas == 1 and info.state.last_seq < self._last:
            _log.warning("events_lost", last=self._last, newest=info.state.last_seq)
            await jetstream.delete_stream(STREAM)
            jetstream, info = await ensured_stream(client, self._replicas)
        return jetstream, info

    def append(self, row: LedgerEvent, envelope: bytes) -> None:
        """Store the event of a row unless it is there; returns when JetStream has it.

        Raises EventStreamUnavailable, after which ``open`` is needed;
        the event may be there then, and storing it again changes nothing.
        """
        jetstream = self._jetstream
        assert jetstream is not None
        subject = SUBJECT_PREFIX + row.scope.replace(":", ".")
        headers = {
            Header.MSG_ID: str(row.id),
            Header.EXPECTED_LAST_SEQUENCE: str(self._last),
            DOMAIN_HEADER: str(row.domain_id),
            SEQ_HEADER: str(row.seq),
        }
        stored = self._connection.call(
            lambda client: jetstream.publish(
                subject, envelope, timeout=ANSWER_SECONDS, stream=STREAM, headers=headers
            ),
            ANSWER_SECONDS,
        )
        if not stored.duplicate:
            self._last = stored.seq
