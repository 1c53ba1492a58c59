"""Serves the cases on loopback: ``/<number>/<path>`` is the answer of a case."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.client import EVENT_STREAM, ask
from tests.clients.answers import Answer, Case
from tests.event_client import held_stream


@contextmanager
def serving(cases: Sequence[Case], service: str) -> Iterator[str]:
    """The base URL. A live case is forwarded to ``service`` as the client sent it."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            _, number, path = self.path.split("/", 2)
            case = cases[int(number)]
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            if case.changes is not None:
                return self._stream(case)
            answer = case.answer or self._forward(case, f"/{path}", sent)
            self.send_response(answer.status)
            if answer.media_type:
                self.send_header("Content-Type", answer.media_type)
            if answer.status not in (204, 304):
                self.send_header("Content-Length", str(len(answer.body)))
            self.end_headers()
            self.wfile.write(answer.body)

        def _forward(self, case: Case, path: str, sent: bytes | None) -> Answer:
            headers = {
                name: value
                for name in ("Content-Type", "Accept")
                if (value := self.headers.get(name)) is not None
            }
            reply = ask(service, path, headers | case.headers, method=self.command, body=sent)
            return Answer(reply.status, reply.headers.get("content-type", ""), reply.body)

        def _stream(self, case: Case) -> None:
            """The open stream, to its end or the client's."""
            assert case.changes is not None
            with held_stream(service, case.parameters["id"], case.headers) as upstream:
                self.send_response(upstream.status)
                self.send_header("Content-Type", EVENT_STREAM)
                self.end_headers()
                self.close_connection = True
                is_open = False
                with suppress(ConnectionError):
                    while piece := upstream.response.readline():
                        self.wfile.write(piece)
                        if piece.startswith(b"retry:") and not is_open:
                            is_open = True
                            case.changes()

        do_GET = do_PUT = do_POST = do_PATCH = do_DELETE = answer

        def log_message(self, *arguments: object) -> None:
            """The table says what happened."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
