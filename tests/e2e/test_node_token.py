"""Renewal and rotation over sockets: tokens of every key in the file, in every worker."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from server.authn.key_sources import file_keys
from server.authn.signing import new_key, read_key_file, write_key_file
from server.authn.tokens import TokenVerifier
from server.dev.keys import AUDIENCE, ISSUER
from server.dev.stack import Stack
from tests.client import Reply, ask, bearer, pull_path
from tests.ledger_sql import audit_rows, run_sql
from tests.tokens import LEEWAY_S, TOKEN_MAX_BYTES

JWKS = "/.well-known/jwks.json"
PATIENCE_S = 20.0
# More requests than two workers would share by chance.
ALL_WORKERS = 24


def renew(stack: Stack, url: str = "", node_id: object = None, **headers: str) -> Reply:
    path = f"/v1/nodes/{node_id or stack.node_id}/token"
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return ask(url or stack.url, path, stack.headers | named, method="POST")


def decoded(token: str, part: int) -> dict[str, Any]:
    text = token.split(".")[part]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def test_an_agent_renews_its_token_and_pulls_with_the_new_one(stack: Stack) -> None:
    reply = renew(stack)
    assert reply.status == 200
    assert list(reply.json) == ["token", "expires_at"]
    assert reply.headers["cache-control"] == "no-store"
    new = reply.json["token"]
    assert decoded(new, 1)["sub"] == f"node:{stack.node_id}"
    for _ in range(ALL_WORKERS):
        assert ask(stack.url, pull_path(stack.node_id), bearer(new)).status == 200
    again = renew(stack, Authorization=f"Bearer {new}")
    assert again.status == 200 and again.json["token"] != new


def test_an_expired_token_renews_nothing(stack: Stack) -> None:
    expired = stack.token(exp=int(time.time()) - 3600)
    reply = renew(stack, Authorization=f"Bearer {expired}")
    assert (reply.status, reply.code) == (401, "unauthorized")


def test_a_token_is_in_no_log_no_metric_and_no_audit_row(stack: Stack) -> None:
    mark = f"renew-{uuid4().hex}"
    new = renew(stack, X_Correlation_Id=mark).json["token"]
    other = stack.sample.node_id(1)
    refused = renew(stack, node_id=other, Authorization=f"Bearer {new}")
    assert (refused.status, refused.code) == (403, "insufficient_relation")
    agent = f"node:{stack.node_id}"
    assert audit_rows(stack.dsn, mark) == [("node.token", "granted", agent, agent, None)]
    logs = [file.read_text(errors="replace") for file in stack.places.folder.rglob("*.log")]
    assert any("wiring_receipt" in text for text in logs)
    rows = run_sql(stack.dsn, "SELECT row_to_json(a)::text FROM plexsphere.audit_rows AS a")
    metrics = ask(stack.url, "/metrics").body.decode()
    shown = [*logs, metrics, *(row[0] for row in rows)]
    for part in (new, new.rpartition(".")[0], new.rpartition(".")[2], stack.token()):
        assert [text for text in shown if part in text] == []


def test_the_private_key_is_in_no_log(stack: Stack) -> None:
    secret = json.loads(stack.places.signing_key.read_text())["d"]
    logs = [file.read_text(errors="replace") for file in stack.places.folder.rglob("*.log")]
    assert logs and [text for text in logs if secret in text] == []


def test_the_token_of_a_deregistered_node_verifies_and_is_refused(stack: Stack) -> None:
    gone = stack.sample.node_id(stack.sample.nodes - 1)
    token = renew(stack, node_id=gone, **bearer(stack.token(f"node:{gone}"))).json["token"]
    row = run_sql(
        stack.dsn,
        "DELETE FROM plexsphere.nodes WHERE id = %s"
        " RETURNING domain_id::text, name, host(mesh_ip), public_key",
        (str(gone),),
    )[0]
    try:
        assert renew(stack, node_id=gone, **bearer(token)).status == 404
        assert ask(stack.url, pull_path(gone), bearer(token)).status == 404
    finally:
        run_sql(
            stack.dsn,
            "INSERT INTO plexsphere.nodes (id, domain_id, name, mesh_ip, public_key)"
            " VALUES (%s, %s, %s, %s, %s)",
            (str(gone), *row),
        )


def test_the_published_set_is_enough_to_verify_a_token(stack: Stack, tmp_path: Path) -> None:
    reply = ask(stack.url, JWKS)
    assert reply.headers["cache-control"] == "public, max-age=300"
    assert all("d" not in key for key in reply.json["keys"])
    kept = tmp_path / "jwks.json"
    kept.write_bytes(reply.body)
    token = renew(stack).json["token"]
    verifier = TokenVerifier(
        file_keys(kept), ISSUER, AUDIENCE, leeway_s=LEEWAY_S, max_bytes=TOKEN_MAX_BYTES
    )
    found = verifier.principal([f"Bearer {token}"])
    assert found is not None and found.subject == f"node:{stack.node_id}"


class Rotated:
    """A service of two workers with a signing key file of its own."""

    def __init__(self, stack: Stack, url: str, file: Path) -> None:
        self.stack, self.url, self.file = stack, url, file

    def put(self, *keys: dict[str, Any]) -> None:
        write_key_file(self.file, list(keys), None)

    def pull(self, token: str) -> int:
        return ask(self.url, pull_path(self.stack.node_id), bearer(token)).status

    def minted(self) -> tuple[str, str]:
        """A token, and the kid of the key that signed it."""
        token = renew(self.stack, self.url).json["token"]
        return token, decoded(token, 0)["kid"]

    def published(self) -> list[str]:
        return [key["kid"] for key in ask(self.url, JWKS).json["keys"]]

    def await_all(self, holds: Callable[[], bool]) -> None:
        """Every worker looks at the file within a second; a busy machine may take longer."""
        until, row = time.monotonic() + PATIENCE_S, 0
        while row < ALL_WORKERS:
            row = row + 1 if holds() else 0
            assert time.monotonic() < until


@pytest.fixture
def rotated(stack: Stack, tmp_path: Path) -> Iterator[Rotated]:
    file = tmp_path / "signing-key.json"
    write_key_file(file, [new_key("EdDSA")], None)
    part = stack.extra_gunicorn(
        "rotated", {"PLEXSPHERE_SIGNING_KEY": str(file), "PLEXSPHERE_WORKERS": "2"}, "/readyz"
    )
    yield Rotated(stack, part.url, file)
    part.stop()


def test_a_rotation_refuses_nobody_until_the_old_key_is_taken_out(rotated: Rotated) -> None:
    (old,) = read_key_file(rotated.file)
    new = new_key("ES256")
    first, signed_by = rotated.minted()
    assert signed_by == old["kid"]

    rotated.put(old, new)
    rotated.await_all(lambda: rotated.published() == [old["kid"], new["kid"]])
    assert rotated.minted()[1] == old["kid"]

    rotated.put(new, old)
    rotated.await_all(lambda: rotated.minted()[1] == new["kid"])
    second, _ = rotated.minted()
    assert rotated.published() == [new["kid"], old["kid"]]
    assert {rotated.pull(token) for token in (first, second) * ALL_WORKERS} == {200}

    rotated.put(new)
    rotated.await_all(lambda: rotated.pull(first) == 401)
    assert {rotated.pull(second) for _ in range(ALL_WORKERS)} == {200}
    assert rotated.published() == [new["kid"]]


def test_a_key_that_signs_at_once_is_believed_by_every_worker(rotated: Rotated) -> None:
    """Also by those that have not looked at the file since: an unknown kid makes them."""
    (old,) = read_key_file(rotated.file)
    first, _ = rotated.minted()
    assert {rotated.pull(first) for _ in range(ALL_WORKERS)} == {200}
    new = new_key("RS256")
    rotated.put(new, old)
    token, signed_by = rotated.minted()
    while signed_by == old["kid"]:
        token, signed_by = rotated.minted()
    assert {rotated.pull(token) for _ in range(ALL_WORKERS)} == {200}


def test_a_file_that_went_bad_changes_nothing(rotated: Rotated) -> None:
    before = [key["kid"] for key in read_key_file(rotated.file)]
    rotated.file.write_text('{"kty": "oct", "k": "c2VjcmV0"}')
    token, _ = rotated.minted()
    assert rotated.pull(token) == 200
    rotated.await_all(lambda: rotated.published() == before)


def test_without_a_signing_key_renewal_is_501_and_the_pull_is_live(stack: Stack) -> None:
    part = stack.extra_gunicorn("unsigned", {"PLEXSPHERE_SIGNING_KEY": ""}, "/readyz")
    try:
        for headers in ({}, stack.headers, {"Authorization": "Basic eDp5"}):
            path = f"/v1/nodes/{stack.node_id}/token"
            reply = ask(part.url, path, headers, method="POST")
            assert (reply.status, reply.code) == (501, "token_signing_not_provisioned")
        assert ask(part.url, pull_path(stack.node_id), stack.headers).status == 200
        assert ask(part.url, JWKS).body == b'{"keys":[]}'
    finally:
        part.stop()
