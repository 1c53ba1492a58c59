"""The stream of events in JetStream, as the publisher writes to it."""

from __future__ import annotations

from uuid import UUID

from nats.js import JetStreamContext
from nats.js.api import Header

from server.events.nats import DOMAIN_HEADER, STREAM, SUBJECT_PREFIX, NatsConnection, ensured_stream

ANSWER_SECONDS = 2.0  # for one acknowledgement


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

        Raises EventStreamUnavailable.
        """
        self._jetstream = None
        self._jetstream, info = self._connection.call(
            lambda client: ensured_stream(client, self._replicas), ANSWER_SECONDS
        )
        self._last = info.state.last_seq

    def append(self, scope: str, event_id: UUID, domain_id: UUID, envelope: bytes) -> None:
        """Store an event unless it is there; returns when JetStream has it.

        ``scope`` is the envelope's. Raises EventStreamUnavailable, after which ``open`` is needed;
        the event may be there then, and storing it again changes nothing.
        """
        jetstream = self._jetstream
        assert jetstream is not None
        subject = SUBJECT_PREFIX + scope.replace(":", ".")
        headers = {
            Header.MSG_ID: str(event_id),
            Header.EXPECTED_LAST_SEQUENCE: str(self._last),
            DOMAIN_HEADER: str(domain_id),
        }
        stored = self._connection.call(
            lambda client: jetstream.publish(
                subject, envelope, timeout=ANSWER_SECONDS, stream=STREAM, headers=headers
            ),
            ANSWER_SECONDS,
        )
        if not stored.duplicate:
            self._last = stored.seq
