"""An answer as bytes, before it is a response of Flask's or leaves without one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from werkzeug.http import HTTP_STATUS_CODES

from composer.event_streams import EventStream
from handlers.answers import PROBLEM, Answer
from handlers.compression import Pieces
from handlers.peers import GZIP_LEAST_BYTES
from handlers.refusals import Refused
from handlers.wire import SnapshotBody, json_bytes
from server.http import request_context
from server.http.problems import problem_answer

WITHOUT_BODY = frozenset((204, 304))


@dataclass(slots=True)
class Reply:
    """``headers`` are complete but for the correlation id, which the doorkeeper adds.

    ``stream`` begins in place of the body, once the reply leaves.
    """

    status: int
    headers: list[tuple[str, str]]
    body: bytes | Pieces
    stream: EventStream | None = None

    @property
    def pieces(self) -> tuple[bytes | memoryview, ...]:
        """The body, without a copy; none where it is empty."""
        if isinstance(self.body, Pieces):
            return self.body.pieces
        return (self.body,) if self.body else ()

    @property
    def whole(self) -> bytes:
        """The body as one bytes object."""
        return self.body.joined() if isinstance(self.body, Pieces) else self.body

    @property
    def media_type(self) -> str:
        """The Content-Type, with its parameters; empty where there is none."""
        return next((value for name, value in self.headers if name.lower() == "content-type"), "")

    @property
    def is_problem(self) -> bool:
        """Whether it carries a Problem."""
        return self.media_type.startswith(PROBLEM)


@cache
def status_line(status: int) -> str:
    """The status line as Werkzeug writes it."""
    return f"{status} {HTTP_STATUS_CODES[status].upper()}"


def reply_of(answer: Answer, *, in_pieces: bool = False) -> Reply:
    """An Answer as bytes. A snapshot is kept for the response validation.

    With ``in_pieces`` the bytes of a large body may be Pieces.
    """
    body = answer.body
    data: bytes | Pieces
    headers = list(answer.headers.items())
    if isinstance(body, SnapshotBody):
        if request_context.accepts_gzip() and body.size >= GZIP_LEAST_BYTES:
            packed = body.to_gzip()
            data = packed if in_pieces else packed.joined()
            headers.append(("Content-Encoding", "gzip"))
        else:
            data = body.to_bytes()
        request_context.set_snapshot(body, data)
    elif body is None:
        data = b""
        if answer.confirmed is not None:
            request_context.set_snapshot(answer.confirmed, data)
    else:
        data = body if isinstance(body, bytes) else json_bytes(body)
    if answer.media_type is not None:
        headers.append(("Content-Type", answer.media_type))
    if answer.status not in WITHOUT_BODY and answer.stream is None:
        headers.append(("Content-Length", str(len(data))))
    return Reply(status=answer.status, headers=headers, body=data, stream=answer.stream)


def reply_of_refusal(refused: Refused, allow: tuple[str, ...] = ()) -> Reply:
    """The Problem of a refusal."""
    return reply_of(
        problem_answer(
            refused.kind,
            request_context.request().path,
            request_context.correlation_id(),
            allow=allow,
            child_counts=refused.child_counts,
        )
    )
