"""The service over HTTP: the exact body, or a sentence about another answer."""

from __future__ import annotations

import json
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from typer.testing import Result

from handlers.refusals import CATALOGUE
from server.cli.failures import ExitCode
from server.cli.service import refusal_sentence, token_hint, without_credentials
from tests.command_runs import NODE, failed, run
from tests.keys_of_tls import certificate_for_loopback
from tests.tokens import ed25519_key, token
from tests.unit.test_cli_differences import bridge_node, plain_node

NOW = 1_700_000_000.0


@contextmanager
def service(
    status: int, body: bytes, media_type: str, tls: tuple[Path, Path] | None = None
) -> Iterator[str]:
    """A server on loopback with the same answer to every request."""

    class Answer(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", media_type)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "http://127.0.0.1:1/")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            pass

    listening = ThreadingHTTPServer(("127.0.0.1", 0), Answer)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(*tls)
        listening.socket = context.wrap_socket(listening.socket, server_side=True)
    Thread(target=listening.serve_forever, args=(0.01,), daemon=True).start()
    try:
        yield f"http{'s' if tls else ''}://127.0.0.1:{listening.server_port}"
    finally:
        listening.shutdown()
        listening.server_close()


def snapshot_from(status: int, body: object, media_type: str, *arguments: str) -> Result:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    with service(status, raw, media_type) as url:
        return run("snapshot", NODE, "--url", url, *arguments)


@pytest.mark.parametrize("kind", CATALOGUE, ids=lambda kind: kind.code or "internal")
def test_every_refusal_has_code_detail_and_correlation_id(kind: Any) -> None:
    problem = {
        "type": "https://plexsphere.com/errors/x",
        "status": kind.status,
        "detail": kind.detail,
        "correlation_id": "abc-1",
        **({"code": kind.code} if kind.code else {}),
    }
    result = snapshot_from(kind.status, problem, "application/problem+json")
    sentence = failed(result, ExitCode.REFUSED)
    assert f"{kind.status} {kind.code or 'Internal Server Error'}: {kind.detail}" in sentence
    assert "(correlation_id abc-1); " in sentence


@pytest.mark.parametrize(
    ("status", "body", "media_type", "sentence"),
    [
        (502, b"<h1>oops</h1>", "text/html", "502 Bad Gateway: this is not the answer of a pull"),
        (302, b"", "text/html", "302 Found: this is not the answer of a pull"),
        (299, b"", "text/html", "299 unknown status"),
        (500, b"[1]", "application/problem+json", "500 Internal Server Error"),
        (200, b"hello", "text/html", "is not JSON: check PLEXSPHERE_URL"),
        (200, b'{"peers":[]}', "application/json", "it is no snapshot"),
    ],
)
def test_an_answer_of_another_program_is_named_as_such(
    status: int, body: bytes, media_type: str, sentence: str
) -> None:
    assert sentence in failed(snapshot_from(status, body, media_type), ExitCode.REFUSED)


def test_control_characters_of_a_problem_are_escaped() -> None:
    problem = {"code": "\x1b[2J", "detail": "\x1b]0;x\x07", "correlation_id": "\u202e"}
    result = snapshot_from(403, problem, "application/problem+json")
    assert "\x1b" not in failed(result, ExitCode.REFUSED)


def test_a_closed_port_is_one_sentence() -> None:
    sentence = failed(run("snapshot", NODE, "--url", "http://127.0.0.1:1"), ExitCode.REFUSED)
    assert "nothing answers at http://127.0.0.1:1 (Connection refused)" in sentence


@pytest.mark.parametrize("url", ["ftp://x", "http://", "nonsense", "http://a:port"])
def test_a_malformed_url_is_refused(url: str) -> None:
    sentence = failed(run("snapshot", NODE, "--url", url), ExitCode.USAGE)
    assert "PLEXSPHERE_URL must be like http://" in sentence


def test_credentials_in_an_url_are_not_repeated() -> None:
    assert without_credentials("http://ada:secret@host:1/x") == "http://host:1/x"
    sentence = failed(run("snapshot", NODE, "--url", "http://ada:secret@127.0.0.1:1"), 3)
    assert "secret" not in sentence


@pytest.mark.parametrize("node", ["", "x", "00000000-0000-0000-0000-000000000000"])
def test_an_id_that_is_no_uuid_is_refused(node: str) -> None:
    failed(run("snapshot", node), ExitCode.USAGE)


def test_on_loopback_the_cas_of_the_environment_count_and_its_proxies_do_not(
    tmp_path: Path,
) -> None:
    certificate = certificate_for_loopback(tmp_path)
    body = json.dumps(bridge_node()).encode()
    with service(200, body, "application/json", certificate) as url:
        command = ("snapshot", NODE, "--url", url, "--raw")
        assert "is not trusted" in failed(run(*command), ExitCode.REFUSED)
        trusting = {"REQUESTS_CA_BUNDLE": str(certificate[0]), "https_proxy": "http://127.0.0.1:1"}
        assert run(*command, **trusting).stdout_bytes == body


def test_raw_is_exactly_the_bytes() -> None:
    body = b' {"spaces" :1, ' + json.dumps(plain_node()).encode()[1:] + b"\n\n"
    result = snapshot_from(200, body, "application/json", "--raw")
    assert (result.exit_code, result.stdout_bytes) == (0, body)


def test_json_is_the_snapshot() -> None:
    result = snapshot_from(200, bridge_node(), "application/json", "--json")
    assert (result.exit_code, json.loads(result.stdout)) == (0, bridge_node())


def test_diff_exits_with_0_or_1(tmp_path: Path) -> None:
    earlier = tmp_path / "earlier.json"
    earlier.write_text(json.dumps(bridge_node()))
    same = snapshot_from(200, bridge_node(), "application/json", "--diff", str(earlier))
    other = snapshot_from(200, plain_node(), "application/json", "--diff", str(earlier), "--json")
    assert (same.exit_code, same.stdout) == (0, "same  no block differs\n")
    assert (other.exit_code, json.loads(other.stdout)["same"]) == (1, False)


def test_the_earlier_body_may_come_on_stdin() -> None:
    with service(200, json.dumps(plain_node()).encode(), "application/json") as url:
        earlier = json.dumps(plain_node()).encode()
        assert run("snapshot", NODE, "--url", url, "--diff", "-", stdin=earlier).exit_code == 0
        sentence = failed(run("snapshot", NODE, "--url", url, "--diff", "-", stdin=b"{}"), 2)
    assert "the body on stdin has no peers" in sentence


def test_a_missing_earlier_body_is_refused(tmp_path: Path) -> None:
    result = run("snapshot", NODE, "--diff", str(tmp_path / "none"))
    assert "cannot be read: No such file or directory" in failed(result, ExitCode.USAGE)


@pytest.mark.parametrize(
    "choice",
    [("--raw", "--json"), ("--raw", "--explain"), ("--diff", "-", "--raw")],
)
def test_only_one_form_of_output_can_be_chosen(choice: tuple[str, ...]) -> None:
    assert "choose one of" in failed(run("snapshot", NODE, *choice), ExitCode.USAGE)


def test_a_401_explains_the_token() -> None:
    good = token(ed25519_key(), "user:ada", now=NOW)
    assert "no token was sent: set PLEXSPHERE_TOKEN (" in token_hint("", NOW)
    assert "no JWT" in token_hint("a.b.c", NOW)
    assert "of user:ada expired 2 h ago" in token_hint(good, NOW + 3 * 3600)
    assert "of user:ada and expires in 60 min: the service does not accept its key" in token_hint(
        good, NOW
    )


def test_a_403_names_the_subject_of_the_token() -> None:
    good = token(ed25519_key(), "user:ada", now=time.time())
    problem = {"code": "insufficient_relation", "detail": "No.", "correlation_id": "c"}
    assert "the token is of user:ada; give it domain-view" in refusal_sentence(403, problem, good)


@pytest.mark.parametrize(
    ("status", "code", "hint"),
    [
        (403, "insufficient_relation", "use the Node's own token"),
        (400, "invalid_last_event_id", "--after takes the id of an event"),
        (501, "signed_event_bus_not_provisioned", "with PLEXSPHERE_NATS_URL"),
        (302, None, "this is not the answer of an event stream"),
    ],
)
def test_a_refused_stream_says_what_to_do(status: int, code: str | None, hint: str) -> None:
    problem = {"status": status, "code": code, "detail": "No.", "correlation_id": "c"}
    body = json.dumps(problem).encode() if code else b""
    with service(status, body, "application/problem+json") as url:
        sentence = failed(run("events", "show", NODE, "--url", url), ExitCode.REFUSED)
    assert hint in sentence
