"""A service that lies: the checker must find each lie, or its zeros mean nothing."""

from __future__ import annotations

import http.client
import http.server
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress
from urllib.parse import urlsplit

from server.dev.ports import HOST
from tests.client import Reply, ask
from tests.faults.seen import WRITTEN, Cell
from tests.faults.world import World

SLOW = 4.0  # beyond every deadline
RUN_SECONDS = 1.0


def planted(world: World, column: str) -> bool:
    """Whether the callers, before a service that lies in this one way, fill this column."""
    lie, told = LIES.get(column, _truth), STREAM_LIES.get(column, iter)
    liar = Liar(world.service.url, lie, told)
    callers, url, cell = world.callers, world.callers.url, Cell("planted", column)
    attempted = {node: picture.attempted for node, picture in callers.nodes.items()}
    before = {node: picture.acknowledged for node, picture in callers.nodes.items()}
    callers.url = liar.url
    if column in STREAM_LIES:
        world.subscribe()
    callers.start(cell)
    try:
        time.sleep(SLOW + RUN_SECONDS if column == "longest_s" else RUN_SECONDS)
        if column == "recovered_s":
            world.recover(cell)
        else:
            cell.recovered_s = 0.0
    finally:
        callers.stop()
        world.count_events(cell, RUN_SECONDS)
        callers.url = url
        liar.close()
    if column == "lost":
        world.count_losses(cell)
    for node, picture in callers.nodes.items():
        picture.attempted = max(picture.attempted, attempted[node])
        picture.acknowledged = min(picture.acknowledged, before[node])
    return ("wrong" if column == "answers" else column) in cell.faults()


class Liar:
    """Passes requests to the real service, and changes what comes back.

    ``told`` gets the frames of a stream, and makes those that are passed on.
    """

    def __init__(
        self,
        url: str,
        lie: Callable[[str, Reply], Reply | None],
        told: Callable[[Iterator[bytes]], Iterator[bytes]],
    ) -> None:
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _answer(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                headers = {
                    name: value
                    for name, value in self.headers.items()
                    if name.lower() not in ("host", "content-length")
                }
                reply = early(self.command)
                if self.path.endswith("/events"):
                    self._stream(headers)
                    return
                if reply is None:
                    reply = ask(url, self.path, headers, method=self.command, body=body)
                reply = lie(self.command, reply) or reply
                self.send_response(reply.status)
                for name in ("content-type", "x-plexsphere-stale-seconds"):
                    if name in reply.headers:
                        self.send_header(name, reply.headers[name])
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body)

            def _stream(self, headers: dict[str, str]) -> None:
                target = urlsplit(url)
                self.close_connection = True
                with closing(http.client.HTTPConnection(str(target.hostname), target.port)) as real:
                    real.request("GET", self.path, headers=headers)
                    with suppress(OSError):
                        reply = real.getresponse()
                        self.send_response(reply.status)
                        self.send_header("Connection", "close")
                        self.end_headers()
                        for frame in told(_frames(reply)):
                            self.wfile.write(frame)

            do_GET = do_PUT = _answer

            def log_message(self, format: str, *arguments: object) -> None:
                """Nothing."""

        def early(method: str) -> Reply | None:
            """A write that never reaches the service."""
            return Reply(200, {}, b"{}") if lie is LIES["lost"] and method == "PUT" else None

        self._server = http.server.ThreadingHTTPServer((HOST, 0), Handler)
        self.url = f"http://{HOST}:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _older(method: str, reply: Reply) -> Reply | None:
    """A number that was never written."""
    if reply.status != 200 or b'"peers"' not in reply.body:
        return None
    body = json.loads(reply.body)
    for block in ("state", "reports"):
        kept = [entry for entry in body[block]["metadata"] if entry["key"] != WRITTEN]
        body[block]["metadata"] = [*kept, {"key": WRITTEN, "value": "-1"}]
    return Reply(200, reply.headers, json.dumps(body).encode())


def _open(method: str, reply: Reply) -> Reply | None:
    return Reply(200, {}, b"{}") if reply.status in (401, 403) else None


def _part(method: str, reply: Reply) -> Reply | None:
    if reply.status != 200 or b'"peers"' not in reply.body:
        return None
    body = json.loads(reply.body)
    body["peers"] = body["peers"][: len(body["peers"]) // 2]
    return Reply(200, reply.headers, json.dumps(body).encode())


def _late(method: str, reply: Reply) -> Reply | None:
    time.sleep(SLOW)
    return None


def _down(method: str, reply: Reply) -> Reply | None:
    problem = json.dumps({"code": "datastore_unavailable"}).encode()
    return Reply(503, {"content-type": "application/problem+json"}, problem)


def _honest(method: str, reply: Reply) -> Reply | None:
    return None


def _undeclared(method: str, reply: Reply) -> Reply | None:
    return Reply(418, {}, b'{"code": "teapot"}')


def _truth(method: str, reply: Reply) -> Reply | None:
    return None


def _frames(reply: http.client.HTTPResponse) -> Iterator[bytes]:
    """Each with the blank line behind it."""
    lines: list[bytes] = []
    while line := reply.readline():
        lines.append(line)
        if line == b"\n":
            yield b"".join(lines)
            lines = []


def _changed(first: int, second: int) -> Callable[[Iterator[bytes]], Iterator[bytes]]:
    """The first event comes ``first`` times, and ``second`` times once more behind the second."""

    def told(frames: Iterator[bytes]) -> Iterator[bytes]:
        events: list[bytes] = []
        for frame in frames:
            if b"event: " not in frame:
                yield frame
                continue
            events.append(frame)
            yield from [frame] * (first if len(events) == 1 else 1)
            yield from [events[0]] * (second if len(events) == 2 else 0)

    return told


LIES: dict[str, Callable[[str, Reply], Reply | None]] = {
    "wrong": _older,
    "fail_open": _open,
    "partial": _part,
    "longest_s": _late,
    "recovered_s": _down,
    "lost": _honest,
    "answers": _undeclared,  # counted as wrong
}
STREAM_LIES: dict[str, Callable[[Iterator[bytes]], Iterator[bytes]]] = {
    "events_lost": _changed(0, 0),
    "events_doubled": _changed(2, 0),
    "events_reordered": _changed(0, 1),
}
COLUMNS = (*LIES, *STREAM_LIES)
