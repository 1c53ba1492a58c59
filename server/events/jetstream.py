"""The stream of events in JetStream, as the publisher writes to it."""

from __future__ import annotations

from uuid import UUID

from nats.aio.client import Client
from nats.js import JetStreamContext
from nats.js.api import Header
from nats.js.errors import APIError

from composer.errors import EventStreamUnavailable
from server.events.nats import STREAM, NatsConnection, ensured_stream

PREFIX = "plexsphere.events."
DOMAIN_HEADER = "Plexsphere-Domain"
# The stream has another last message than its only writer knows of.
WRONG_LAST_SEQUENCE = (10070, 10071)
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

        async def opened(client: Client) -> tuple[JetStreamContext, int]:
            jetstream = await ensured_stream(client, self._replicas)
            return jetstream, (await jetstream.stream_info(STREAM)).state.last_seq

        try:
            self._jetstream, self._last = self._connection.call(opened, ANSWER_SECONDS)
        except APIError as error:
            raise EventStreamUnavailable(f"the stream: {error.description}") from error

    def append(self, scope: str, event_id: UUID, domain_id: UUID, envelope: bytes) -> None:
        """Store an event unless it is there; returns when JetStream has it.

        ``scope`` is the envelope's. Raises EventStreamUnavailable, after which ``open`` is needed;
        the event may be there then, and storing it again changes nothing.
        """
        jetstream = self._jetstream
        assert jetstream is not None
        subject = PREFIX + scope.replace(":", ".")
        headers = {
            Header.MSG_ID: str(event_id),
            Header.EXPECTED_LAST_SEQUENCE: str(self._last),
            DOMAIN_HEADER: str(domain_id),
        }
        try:
            stored = self._connection.call(
                lambda client: jetstream.publish(
                    subject, envelope, timeout=ANSWER_SECONDS, stream=STREAM, headers=headers
                ),
                ANSWER_SECONDS,
            )
        except APIError as error:
            raise EventStreamUnavailable(f"the stream: {error.description}") from error
        if not stored.duplicate:
            self._last = stored.seq
