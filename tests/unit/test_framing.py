"""Where a request ends: what is found by the loop is what gunicorn's parser finds, or it closes."""

from __future__ import annotations

import pytest
from gunicorn.config import Config
from gunicorn.http.errors import InvalidHeader, ParseException, UnsupportedTransferCoding
from gunicorn.http.parser import RequestParser

from server.contract.document import Contract
from server.gunicorn.framing import BODY_MAX_BYTES, Incoming, is_read_to_the_end
from server.http.requests import GZIP_OVERHEAD, IGNORED_BODY_MAX

CLIENT = ("127.0.0.1", 4000)
POST = b"POST /a HTTP/1.1\r\nHost: x\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"

WHOLE = {
    "no fields": b"GET / HTTP/1.0\r\n\r\n",
    "an empty line before": b"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "a length": POST + b"Content-Length: 5\r\n\r\nhello",
    "a length of none": POST + b"Content-Length: 0\r\n\r\n",
    "bare LF in a body": POST + b"Content-Length: 6\r\n\r\na\nb\n\r\n",
    "chunks": CHUNKED + b"5\r\nhello\r\n6;a=b\r\n world\r\n0\r\n\r\n",
    "no chunk": CHUNKED + b"0\r\n\r\n",
    "many zeros": CHUNKED + b"0005 ;x\r\nhello\r\n000\r\n\r\n",
    "trailers": CHUNKED + b"5\r\nhello\r\n0\r\nX-A: b\r\nX-C: d\r\n\r\n",
    "CRLF in a chunk": CHUNKED + b"7\r\n\r\n0\r\n\r\n\r\n0\r\n\r\n",
}
REFUSED = {
    "two lengths": POST + b"Content-Length: 3\r\nContent-Length: 3\r\n\r\n",
    "a list of lengths": POST + b"Content-Length: 3, 3\r\n\r\n",
    "a signed length": POST + b"Content-Length: +3\r\n\r\n",
    "a folded field": POST + b"X-A: b\r\n c\r\n\r\n",
    "a space before the colon": POST + b"Content-Length : 3\r\n\r\n",
    "bare LF after the first line": b"GET / HTTP/1.1\nHost: x\r\n\r\n",
    "bare LF after a field": POST + b"X-A: b\nContent-Length: 3\r\n\r\n",
    "bare LF, and no end": POST + b"X-A: b\nX",
    "bare LF throughout": b"GET / HTTP/1.1\nHost: x\n\n",
    "a long first line, and no end": b"GET /" + b"a" * 9_000,
    "a long first line": b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\n\r\n",
    "a long field": POST + b"X-A: " + b"a" * 9_000 + b"\r\n\r\n",
    "more fields than are read": POST + b"X-A: b\r\n" * 101 + b"\r\n",
    "a head without an end": POST + b"X-A: b\r\n" * 20_000,
    "an unknown expectation": POST + b"Expect: more\r\n\r\n",
}
# What this service decodes, and how it refuses the rest: 501, or 400 where the end is in doubt.
CODINGS = {
    b"chunked": None,
    b"CHUNKED": None,
    b"gzip": UnsupportedTransferCoding,
    b"gzip, chunked": UnsupportedTransferCoding,
    b"gzip\r\nTransfer-Encoding: chunked": UnsupportedTransferCoding,
    b"identity": UnsupportedTransferCoding,
    b"identity, chunked": UnsupportedTransferCoding,
    b"xchunked": UnsupportedTransferCoding,
    b"chunked;a=b": UnsupportedTransferCoding,
    b"": InvalidHeader,
    b"chunked,": InvalidHeader,
    b"chunked, gzip": InvalidHeader,
    b"chunked, chunked": InvalidHeader,
    b"chunked\r\nTransfer-Encoding: chunked": InvalidHeader,
    b"chunked\r\nTransfer-Encoding:": InvalidHeader,
    b"chunked\r\nContent-Length: 5": InvalidHeader,
    b"gzip\r\nContent-Length: 5": InvalidHeader,
}
ODD = {
    "no number": b"zz\r\nhello\r\n0\r\n\r\n",
    "a signed number": b"+5\r\nhello\r\n0\r\n\r\n",
    "a number of C": b"0x5\r\nhello\r\n0\r\n\r\n",
    "a space before": b" 5\r\nhello\r\n0\r\n\r\n",
    "a chunk that is too long": b"3\r\nhello\r\n0\r\n\r\n",
    "a line without an end": b"5" + b"0" * 9_000,
    "an extension without an end": b"5;" + b"a" * 9_000,
}
MALFORMED = {
    "bare LF after a size": b"5\nhello\r\n0\r\n\r\n\r\n",
    "bare LF among trailers": b"0\r\nX-A: b\nX-C: d\r\n\r\n",
    "a field that trailers may not have": b"0\r\nContent-Length: 3\r\n\r\n",
    "no extension": b"5;;\r\nhello\r\n0\r\n\r\n",
}


@pytest.fixture
def incoming() -> Incoming:
    return Incoming(Config(), CLIENT)


def body_by_gunicorn(data: bytes) -> bytes:
    return bytes(next(RequestParser(Config(), iter([data]), CLIENT)).body.read())


@pytest.mark.parametrize("data", WHOLE.values(), ids=WHOLE)
@pytest.mark.parametrize("step", [1, 2, 3, 7, 1_000])
def test_a_request_is_whole_with_its_last_byte_however_it_comes(
    incoming: Incoming, data: bytes, step: int
) -> None:
    pieces = [data[at : at + step] for at in range(0, len(data), step)]
    for piece in pieces[:-1]:
        incoming.buffer += piece
        assert incoming.whole() is None
    incoming.buffer += pieces[-1] + b"GET /next"
    request = incoming.whole()
    assert request.body.read() == body_by_gunicorn(data)
    assert not request.should_close() or request.version == (1, 0)
    assert is_read_to_the_end(request)
    assert incoming.buffer == b"GET /next"


@pytest.mark.parametrize("data", REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("step", [1, 1_000, 1_000_000])
def test_what_gunicorn_refuses_is_refused_as_soon_as_that_is_certain(
    incoming: Incoming, data: bytes, step: int
) -> None:
    with pytest.raises(ParseException):
        for at in range(0, len(data), step):
            incoming.buffer += data[at : at + step]
            assert incoming.whole() is None


@pytest.mark.parametrize(("coding", "refusal"), CODINGS.items(), ids=CODINGS)
def test_chunks_are_the_only_transfer_coding(
    incoming: Incoming, coding: bytes, refusal: type[ParseException] | None
) -> None:
    incoming.buffer += POST + b"Transfer-Encoding: " + coding + b"\r\n\r\n"
    if refusal is None:
        assert incoming.whole() is None
        return
    with pytest.raises(refusal):
        incoming.whole()


@pytest.mark.parametrize("coding", [b"chunked", b"gzip"])
def test_no_transfer_coding_is_taken_in_http_1_0(incoming: Incoming, coding: bytes) -> None:
    incoming.buffer += b"POST / HTTP/1.0\r\nTransfer-Encoding: " + coding + b"\r\n\r\n"
    with pytest.raises(InvalidHeader):
        incoming.whole()


@pytest.mark.parametrize("chunks", ODD.values(), ids=ODD)
def test_chunks_that_are_none_are_handed_on_and_the_connection_closes(
    incoming: Incoming, chunks: bytes
) -> None:
    incoming.buffer += CHUNKED + chunks
    request = incoming.whole()
    assert request.should_close()
    with pytest.raises((ParseException, OSError)):
        request.body.read()
    assert incoming.buffer == b""


@pytest.mark.parametrize("chunks", MALFORMED.values(), ids=MALFORMED)
def test_chunks_that_only_gunicorn_refuses_close_the_connection(
    incoming: Incoming, chunks: bytes
) -> None:
    incoming.buffer += CHUNKED + chunks
    request = incoming.whole()
    assert request.should_close() or not is_read_to_the_end(request)


def test_what_the_two_read_differently_closes_the_connection(incoming: Incoming) -> None:
    incoming.buffer += CHUNKED + b"5\r\nhello\r\n0\r\n\r\n"
    request = incoming.whole()
    request.unreader.unread(request.unreader.take_buffered() + b"GET /smuggled")
    assert not is_read_to_the_end(request)


@pytest.mark.parametrize(
    "data",
    [
        POST + b"Content-Length: %d\r\n\r\nx" % (BODY_MAX_BYTES + 1),
        CHUNKED + b"%x\r\nx" % (BODY_MAX_BYTES + 1),
        CHUNKED + b"1000\r\n%s\r\n" % (b"x" * 4096) * 17,
        CHUNKED + b"1;%s\r\nx\r\n" % (b"a" * 8_000) * 60,
    ],
    ids=["length", "chunk", "chunks", "extensions"],
)
def test_a_body_that_no_operation_takes_is_not_waited_for(incoming: Incoming, data: bytes) -> None:
    incoming.buffer += data
    assert incoming.whole().should_close()
    assert incoming.buffer == b""


def test_every_body_that_an_operation_takes_is_waited_for() -> None:
    operations = Contract.packaged().operations.values()
    limits = [
        operation.body.max_bytes + GZIP_OVERHEAD
        for operation in operations
        if operation.body is not None
    ]
    assert limits
    assert max(*limits, IGNORED_BODY_MAX) <= BODY_MAX_BYTES
