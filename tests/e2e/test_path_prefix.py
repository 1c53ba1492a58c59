"""Behind a proxy that serves the service below a path, and marks ETags as it compresses."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest

from server.dev.ports import HOST
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from server.fleet.wire import AgentAnswer, send
from tests.client import ask, bearer, pull_path
from tests.command_runs import run
from tests.e2e.browser.headless import run_script
from tests.e2e.test_docs_page import WALK_S, X86

PREFIX = "/mesh"
MARK = '-gzip"'
HOP_BY_HOP = ("connection", "content-length", "date", "keep-alive", "server", "transfer-encoding")


@pytest.fixture(scope="module")
def proxied(stack: Stack) -> Iterator[str]:
    """The URL below the proxy, of a service that knows its prefix."""
    service = stack.extra_gunicorn("prefixed", {"PLEXSPHERE_PATH_PREFIX": PREFIX})

    class Proxy(BaseHTTPRequestHandler):
        def forward(self) -> None:
            sent = self.rfile.read(int(self.headers.get("Content-Length") or 0)) or None
            if not self.path.startswith(f"{PREFIX}/"):
                self.send_error(421, "a path of another service")
                return
            path = self.path.removeprefix(PREFIX)
            own = ("host", *HOP_BY_HOP)
            headers = {k: v for k, v in self.headers.items() if k.lower() not in own}
            reply = ask(service.url, path, headers, method=self.command, body=sent)
            self.send_response(reply.status)
            for name, text in reply.headers.items():
                if name not in HOP_BY_HOP:
                    self.send_header(name, text[:-1] + MARK if name == "etag" else text)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        do_GET = do_POST = forward

        def log_message(self, *args: object) -> None:
            """Nothing on stderr."""

    server = ThreadingHTTPServer((HOST, 0), Proxy)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://{HOST}:{server.server_port}{PREFIX}"
    server.shutdown()
    thread.join()
    server.server_close()
    service.stop()


def test_a_marked_etag_still_gets_its_304(stack: Stack, proxied: str) -> None:
    def pulled(**headers: str) -> AgentAnswer:
        names = {name.replace("_", "-"): text for name, text in headers.items()}
        return send(proxied, "GET", pull_path(stack.node_id), stack.token(), headers=names)

    first = pulled()
    tag = first.headers["etag"]
    assert (first.status, tag.endswith(MARK)) == (200, True)
    assert pulled(If_None_Match=tag).status == 304
    assert pulled(If_None_Match=f'W/"{"0" * 64}{MARK}').status == 200


def test_a_location_leads_to_the_object(stack: Stack, proxied: str) -> None:
    url, headers = proxied.removesuffix(PREFIX), bearer(stack.token(OPERATOR))
    domain = {"name": "Prefixed", "slug": "prefixed", "mesh_cidr": "10.77.0.0/16"}
    made = send(proxied, "POST", "/v1/domains", stack.token(OPERATOR), domain)
    assert made.status == 201, made.body
    location = made.headers["location"]
    assert location.startswith(f"{PREFIX}/v1/domains/")
    assert ask(url, location, headers).json["slug"] == "prefixed"
    path = location.removeprefix(PREFIX)
    assert ask(stack.url, path, headers, method="DELETE").status == 204


def test_the_command_line_asks_below_the_prefix(stack: Stack, proxied: str) -> None:
    env = {"PLEXSPHERE_URL": proxied, "PLEXSPHERE_TOKEN": stack.token()}
    done = run("snapshot", str(UUID(stack.node_id)), "--raw", **env)
    assert done.exit_code == 0, done.output
    assert done.stdout_bytes == ask(stack.url, pull_path(stack.node_id), stack.headers).body


@X86
@pytest.mark.timeout(600)
def test_the_docs_page_sends_requests_and_token_below_the_prefix_only(
    stack: Stack, proxied: str
) -> None:
    url = proxied.removesuffix(PREFIX)
    values = {"url": url, "token": stack.token(), "prefix": PREFIX}
    seen = run_script("prefix.mjs", values, WALK_S)
    assert (seen["status"], seen["errors"]) == (200, [])
    assert f"{url}{PREFIX}{pull_path(stack.node_id)}" in seen["requests"]
    assert [
        sent for sent in seen["requests"] if not sent.startswith((f"{url}{PREFIX}/", "data:"))
    ] == []
