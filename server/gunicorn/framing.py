"""Finds the end of the next request in the bytes that a connection has received.

gunicorn's own parser reads every head, once, and says how the body is framed. Found here are only
the end of a head and the end of a chunked body. Bytes that cannot be framed with certainty go to
that parser as they are, and the connection ends with their answer.
"""

from __future__ import annotations

import re
from typing import Any

from gunicorn.http.body import ChunkedReader
from gunicorn.http.errors import (
    InvalidHeader,
    LimitRequestHeaders,
    NoMoreData,
    UnsupportedTransferCoding,
)
from gunicorn.http.message import Request
from gunicorn.http.unreader import IterUnreader

# Sixteen header fields of the largest size. gunicorn alone would hold 100 of them.
HEAD_MAX_BYTES = 131_072
# No operation reads more of a body: 65,536 bytes, and what gzip adds to bytes that do not shrink.
BODY_MAX_BYTES = 65_536 + 1_024
# A chunked body in chunks of one byte is six times its content.
CHUNKED_MAX_BYTES = 6 * BODY_MAX_BYTES
# The longest line of a chunk's size, its extensions included; gunicorn's own limit.
CHUNK_LINE_MAX_BYTES = 8_190

_BARE_LF = re.compile(rb"(?<!\r)\n")
_HEX = re.compile(rb"[0-9A-Fa-f]+")


class UnusableBody(Exception):
    """The body cannot be framed with certainty, or no operation takes as much."""


class Incoming:
    """The bytes of one connection that belong to no answered request."""

    def __init__(self, cfg: Any, client: Any) -> None:
        """``cfg`` is gunicorn's; ``client`` the address of the peer."""
        self.buffer = bytearray()
        self._cfg = cfg
        self._client = client
        self._searched = 0  # of the head
        self._chunks: Chunks | None = None
        # The request whose head is complete and whose body may not be.
        self.request: Any = None
        self.body_bytes = 0  # of the request that was whole last

    def whole(self) -> Any:
        """The next request, its body behind it in memory; None while bytes are missing.

        A body that is odd or too large is handed on as far as it is there: such a request says
        that its connection must close. Raises what gunicorn's parser raises.
        """
        if self.request is None and not self._read_head():
            return None
        request = self.request
        try:
            end = self._end_of_body()
        except UnusableBody:
            request.force_close()
            end = len(self.buffer)
        if end is None:
            return None
        request.unreader.unread(bytes(self.buffer[:end]))
        # its body is here, so gunicorn must not ask the client for it
        request._expected_100_continue = False
        del self.buffer[:end]
        self.body_bytes = end
        self.request = self._chunks = None
        return request

    def _read_head(self) -> bool:
        """Whether the head is complete."""
        buffer = self.buffer
        end = buffer.find(b"\r\n\r\n", max(0, self._searched - 3))
        if end < 0:
            self._refuse_early()
            self._searched = len(buffer)
            return False
        self.request = self._parsed(buffer[: end + 4])
        del buffer[: end + 4]
        self._searched = 0
        if isinstance(self.request.body.reader, ChunkedReader):
            self._chunks = Chunks()
        return True

    def _refuse_early(self) -> None:
        """Raise for a head that can only be refused, however it goes on."""
        if len(self.buffer) > HEAD_MAX_BYTES:
            raise LimitRequestHeaders("max buffer headers")
        is_long = self.buffer.find(b"\r\n", 2, self._cfg.limit_request_line + 4) < 0
        if _BARE_LF.search(self.buffer, max(0, self._searched - 1)) or (
            is_long and len(self.buffer) > self._cfg.limit_request_line + 4
        ):
            self._parsed(self.buffer)

    def _parsed(self, head: bytearray) -> Any:
        unreader = IterUnreader(())
        unreader.unread(bytes(head))
        try:
            request = FramedRequest(self._cfg, unreader, self._client)
        except (NoMoreData, StopIteration):
            raise InvalidHeader("incomplete head") from None
        if unreader.take_buffered():  # the parser saw the end of the head elsewhere
            raise InvalidHeader("ambiguous end of head")
        return request

    def _end_of_body(self) -> int | None:
        """The number of bytes of the body in the buffer; None while some are missing."""
        if self._chunks is not None:
            return self._chunks.end(self.buffer)
        length: int = self.request.body.reader.length
        if length > BODY_MAX_BYTES:
            raise UnusableBody
        return length if len(self.buffer) >= length else None


class FramedRequest(Request):
    """gunicorn's request, but that ``chunked`` alone, in HTTP/1.1, is a transfer coding here.

    The service decodes no other: it is 501 (RFC 9112, 6.1). Where the end of the body would be in
    doubt it is 400: HTTP/1.0, a length too, an empty name, ``chunked`` before the end (6.1, 6.3).
    """

    def set_body_reader(self) -> None:
        fields = [value for name, value in self.headers if name == "TRANSFER-ENCODING"]
        if fields:
            self._check_codings(",".join(fields))
        super().set_body_reader()

    def _check_codings(self, value: str) -> None:
        codings = [coding.strip(" \t").lower() for coding in value.split(",")]
        has_length = any(name == "CONTENT-LENGTH" for name, _ in self.headers)
        is_doubtful = "" in codings or "chunked" in codings[:-1]
        if has_length or is_doubtful or self.version < (1, 1):
            raise InvalidHeader("TRANSFER-ENCODING", req=self)
        if codings != ["chunked"]:
            raise UnsupportedTransferCoding(value)


class Chunks:
    """Finds the end of a chunked body; what its parts are worth is gunicorn's to say."""

    def __init__(self) -> None:
        self._at = 0  # where the line of the next chunk's size, or the trailers, begin
        self._size = 0  # bytes of content so far
        self._in_trailers = False

    def end(self, buffer: bytearray) -> int | None:
        """The end of the body; None while bytes are missing. Raises UnusableBody."""
        while not self._in_trailers:
            line = buffer.find(b"\r\n", self._at)
            if line < 0:
                if len(buffer) - self._at > CHUNK_LINE_MAX_BYTES:
                    raise UnusableBody
                return _missing(buffer)
            size = self._chunk_size(bytes(buffer[self._at : line]))
            if size == 0:
                self._at, self._in_trailers = line + 2, True
                break
            if self._size + size > BODY_MAX_BYTES:
                raise UnusableBody
            after = line + 2 + size
            if len(buffer) < after + 2:
                return _missing(buffer)
            if buffer[after : after + 2] != b"\r\n":
                raise UnusableBody
            self._size += size
            self._at = after + 2
        # the last chunk's line ends with CRLF, and so does an empty set of trailers
        last = buffer.find(b"\r\n\r\n", self._at - 2)
        return _missing(buffer) if last < 0 else last + 4

    def _chunk_size(self, line: bytes) -> int:
        digits = line.partition(b";")[0].rstrip(b" \t")
        if not _HEX.fullmatch(digits):
            raise UnusableBody
        return int(digits, 16)


def _missing(buffer: bytearray) -> int | None:
    """Wait for more bytes. Raises UnusableBody where no more are taken."""
    if len(buffer) > CHUNKED_MAX_BYTES:
        raise UnusableBody
    return None


def is_read_to_the_end(request: Any) -> bool:
    """Whether gunicorn's parser found the end of the body where it was found here.

    What is left over would be the start of a request to one of the two only.
    """
    body = request.body
    if isinstance(body.reader, ChunkedReader):
        try:
            while not body.failed and body.read(65_536):
                pass
        except Exception:  # a chunk that is none: each parser has its own errors
            return False
        return not body.failed and not request.unreader.take_buffered()
    return True
