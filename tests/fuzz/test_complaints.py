"""A complaint has the operation, the seed, a pointer into the contract and a curl that runs."""

from __future__ import annotations

import base64
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from server.contract.pointers import resolve_pointer
from tests.client import bearer
from tests.fuzz.complaints import BETWEEN, FILE, curl_of, failures, of_exchange, own_again
from tests.fuzz.exchange import CONTRACT, Exchange
from tests.tokens import ed25519_key, token

NODE = "0190b2c4-0000-7000-8000-0000000000a1"
PULL = f"/v1/nodes/{NODE}/state"
AGAIN = own_again(7, "http://127.0.0.1:4321")


def part_of(complaint: str) -> object:
    """The part of the contract that a complaint points to."""
    place = complaint.split(BETWEEN)[1]
    seed, _, pointer = place.partition(", ")
    assert seed == "seed 7"
    return resolve_pointer(CONTRACT.document, pointer.removeprefix(FILE))


@pytest.mark.parametrize(
    "complaint",
    [
        "GetNodeState 503 authz_unavailable: declared and never seen",
        "GetNodeState: 40% of the valid cases reach a 2xx, not 50%",
        of_exchange("a check: wrong (why)", Exchange("GET", PULL, {}, 503, {}, b"")),
    ],
)
def test_a_complaint_has_all_that_repeats_it(complaint: str) -> None:
    complaints = AGAIN.of(complaint)
    reason, _, curl = complaints.split(BETWEEN)
    assert reason == complaint.split(BETWEEN)[0] and reason.startswith("GetNodeState")
    operation = CONTRACT.document["paths"]["/v1/nodes/{id}/state"]["get"]
    assert part_of(complaints) in (operation, operation["responses"]["503"])
    assert curl.startswith("curl ") and '"$PLEXSPHERE_URL"/v1/nodes/' in curl


def test_a_request_without_an_answer_is_repeated_with_a_token_of_its_caller() -> None:
    asked = Exchange.unanswered("GET", PULL, bearer(token(ed25519_key(), sub=f"node:{NODE}")))
    assert f"token node:{NODE})" in curl_of(asked) and "eyJ" not in curl_of(asked)


def test_a_fault_of_the_run_has_the_seed() -> None:
    assert AGAIN.of("audit rows: OSError: the disk is full").endswith(f"{BETWEEN}seed 7")


def test_a_failure_of_schemathesis_asks_make_run_as_who_may(tmp_path: Path) -> None:
    text = f"""1. Test Case ID: aBc1

- Server error

Reproduce with:

    curl -X GET -H 'Authorization: [Filtered]' 'http://127.0.0.1:4321{PULL}?a=%00'
"""
    case = f'<testcase name="GET /v1/nodes/{{id}}/state"><failure>{text}</failure></testcase>'
    (tmp_path / "junit.xml").write_text(f"<testsuites>{case}</testsuites>")
    (sentence,) = failures(tmp_path / "junit.xml", AGAIN)
    assert AGAIN.of(sentence) == sentence
    assert sentence.startswith("GetNodeState: Test Case ID: aBc1 - Server error")
    header = f'-H "Authorization: Bearer $(.venv/bin/plexsphere-state token node:{NODE})"'
    assert sentence.endswith(f"""curl -X GET {header} "$PLEXSPHERE_URL"'{PULL}?a=%00'""")


@contextmanager
def listening() -> Iterator[tuple[str, list[tuple[str, str, dict[str, str], bytes]]]]:
    seen: list[tuple[str, str, dict[str, str], bytes]] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            headers = {name.lower(): text for name, text in self.headers.items()}
            seen.append((self.command, self.path, headers, body))
            self.send_response(204)
            self.end_headers()

        do_GET = do_PUT = answer

        def log_message(self, *arguments: object) -> None:
            """Quiet."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", seen
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def test_the_command_sends_the_very_bytes_again(tmp_path: Path) -> None:
    """In a folder whose `plexsphere-state token SUBJECT` prints the subject."""
    script = tmp_path / ".venv" / "bin" / "plexsphere-state"
    script.parent.mkdir(parents=True)
    script.write_text('#!/bin/sh\necho "$2"\n')
    script.chmod(0o755)
    jwt = bearer(token(ed25519_key("any"), f"node:{NODE}"))["Authorization"]
    nsk = f"Bearer nsk_a_{base64.urlsafe_b64encode(bytes(48)).decode()}"
    bodies = (b'{"value": "it\'s $HOME"}', "ü@".encode(), b"@/etc/hostname", bytes(range(256)) * 99)
    with listening() as (url, seen):
        for body in bodies:
            for credential in (jwt, nsk):
                sent = {"authorization": credential, "x-a": "q'$", "host": "elsewhere"}
                path = "/v1/nodes/%2e/../a?b=$c'%00"
                exchange = Exchange("PUT", path, sent, 500, {}, b"", body)
                command = ["bash", "-c", curl_of(exchange)]
                environ = {"PLEXSPHERE_URL": url, "PATH": "/usr/bin:/bin:/usr/local/bin"}
                subprocess.run(command, cwd=tmp_path, env=environ, check=True, capture_output=True)
                method, asked, headers, got = seen.pop()
                assert (method, asked, got) == ("PUT", path, body)
                shown = f"Bearer node:{NODE}" if credential == jwt else nsk
                assert (headers["authorization"], headers["x-a"]) == (shown, "q'$")
