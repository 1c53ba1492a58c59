"""The event streams of a Domain for ``fleet status``, and how a screen shows them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import TYPE_CHECKING
from uuid import UUID

from server.cli.formats import counted, duration
from server.cli.screen import plain

if TYPE_CHECKING:
    from rich.text import Text

    from server.events.stream_list import NodeStream, StreamList
    from server.settings import Settings


def streams_of(settings: Settings, domain_id: UUID) -> tuple[StreamList | None, str]:
    """The streams, and why there are none: without an event bus the reason is empty."""
    if not settings.nats_url:
        return None, ""
    from composer.errors import EventStreamUnavailable
    from server.events.nats import NatsConnection
    from server.events.stream_list import list_streams

    name = "plexsphere-state fleet status"
    with closing(NatsConnection(settings.nats, name, lambda trouble: None)) as connection:
        try:
            return list_streams(connection, domain_id), ""
        except EventStreamUnavailable as error:
            return None, f"Who holds an event stream is not known: {error}."


def stream_lines(streams: StreamList, nodes: int) -> Iterator[Text]:
    """A sentence about all streams, and one for each process that is behind."""
    with_stream = len({stream.node_id for stream in streams.streams})
    unread = sum(stream.unread_bytes > 0 for stream in streams.streams)
    sentence = f"{with_stream:,} of {counted(nodes, 'Node')} with an event stream"
    if unread:
        sentence += f", {unread:,} with unread bytes"
    yield plain(f"{sentence}; {counted(len(streams.processes), 'worker')} answered", "dim")
    for process in streams.processes:
        if process.behind:
            events = counted(process.behind, "event")
            yield plain(f"{process.name} is {events} behind", "yellow")


def stream_cells(streams: StreamList | None) -> dict[str, str]:
    """The cells of each Node: the age of its oldest stream, and the unread bytes of its client."""
    found: dict[str, list[NodeStream]] = {}
    for stream in streams.streams if streams else ():
        found.setdefault(stream.node_id, []).append(stream)
    return {node_id: _cell(of_node) for node_id, of_node in found.items()}


def _cell(streams: list[NodeStream]) -> str:
    unread = max(stream.unread_bytes for stream in streams)
    age = duration(max(stream.seconds for stream in streams))
    several = f" x{len(streams)}" if len(streams) > 1 else ""
    return f"{age}{several}" + (f", {unread:,} B unread" if unread else "")
