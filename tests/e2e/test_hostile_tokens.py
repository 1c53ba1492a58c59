"""Hostile tokens over sockets: each is 401 with the same bytes, beside a good one that is 200."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from typing import Any

import pytest

from server.dev.stack import Stack
from tests.client import ask, bearer, pull_path


def segment(value: object) -> str:
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def header_of(token: str) -> dict[str, Any]:
    part = token.split(".")[0]
    header: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return header


def reheadered(token: str, **changes: object) -> str:
    """The token with another header; its signature no longer fits."""
    _, claims, signature = token.split(".")
    return f"{segment(header_of(token) | changes)}.{claims}.{signature}"


def unsigned(stack: Stack) -> str:
    _, claims, _ = stack.token().split(".")
    return f"{segment({'alg': 'none', 'typ': 'JWT'})}.{claims}."


def hmac_with_the_public_key(stack: Stack) -> str:
    jwks = (stack.places.jwks).read_bytes()
    public = json.loads(jwks)["keys"][0]["x"]
    _, claims, _ = stack.token().split(".")
    signing = f"{segment(header_of(stack.token()) | {'alg': 'HS256'})}.{claims}"
    key = base64.urlsafe_b64decode(public + "=" * (-len(public) % 4))
    return f"{signing}.{segment(hmac.new(key, signing.encode(), hashlib.sha256).digest())}"


def truncated(stack: Stack) -> str:
    return stack.token()[:-4]


def tampered(stack: Stack) -> str:
    head, claims, signature = stack.token().split(".")
    other = stack.token(f"node:{stack.sample.node_id(1)}").split(".")[1]
    assert other != claims
    return f"{head}.{other}.{signature}"


PAST, FUTURE = 1_000_000_000, 4_000_000_000
HOSTILE: dict[str, Callable[[Stack], str]] = {
    "none": unsigned,
    "hmac": hmac_with_the_public_key,
    "truncated": truncated,
    "tampered": tampered,
    "wrong-issuer": lambda s: s.token(iss="https://evil.example"),
    "wrong-audience": lambda s: s.token(aud="someone-else"),
    "no-audience": lambda s: s.token(aud=[]),
    "expired": lambda s: s.token(exp=PAST),
    "not-yet-valid": lambda s: s.token(nbf=FUTURE),
    "issued-in-the-future": lambda s: s.token(iat=FUTURE),
    "no-subject": lambda s: s.token(sub=None),
    "kid-path": lambda s: reheadered(s.token(), kid="../../../dev/null"),
    "kid-sql": lambda s: reheadered(s.token(), kid="' UNION SELECT 'x"),
    "kid-missing": lambda s: reheadered(s.token(), kid=None),
    "embedded-jwk": lambda s: reheadered(s.token(), jwk={"kty": "oct", "k": "AA"}),
    "embedded-jku": lambda s: reheadered(s.token(), jku="http://127.0.0.1:9/jwks"),
    "embedded-x5u": lambda s: reheadered(s.token(), x5u="http://127.0.0.1:9/x5u"),
    "critical": lambda s: reheadered(s.token(), crit=["b64"]),
    "eight-kilobytes": lambda s: s.token(padding="x" * 5_600),
    "subject-of-no-kind": lambda s: s.token("robot:7"),
    "subject-without-kind": lambda s: s.token("7"),
    "subject-in-upper-case": lambda s: s.token(f"node:{s.node_id.upper()}"),
    "subject-with-newline": lambda s: s.token(f"node:{s.node_id}\n"),
    "subject-nil": lambda s: s.token("node:00000000-0000-0000-0000-000000000000"),
    "subject-wildcard": lambda s: s.token("user:*"),
    "not-a-jwt": lambda s: base64.b64encode(b"x" * 32).decode(),
    "empty": lambda s: "",
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_401_with_the_same_bytes_as_no_token(stack: Stack, name: str) -> None:
    path = pull_path(stack.node_id)
    nobody = ask(stack.url, path)
    reply = ask(stack.url, path, bearer(HOSTILE[name](stack)))
    assert reply.status == 401
    assert reply.blanked() == nobody.blanked()
    assert ask(stack.url, path, stack.headers).status == 200


def test_two_authorization_headers_are_401(stack: Stack) -> None:
    good = ("Authorization", f"Bearer {stack.token()}")
    assert ask(stack.url, pull_path(stack.node_id), [good, good]).status == 401
    assert ask(stack.url, pull_path(stack.node_id), [good]).status == 200


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_the_scheme_is_read_as_http_says(stack: Stack, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {stack.token()}"}
    assert ask(stack.url, pull_path(stack.node_id), headers).status == 200


@pytest.mark.parametrize("value", ["Basic eDp5", "Bearer", "Bearer  ", "Token x", "Bearer a b"])
def test_another_form_of_credential_is_401(stack: Stack, value: str) -> None:
    reply = ask(stack.url, pull_path(stack.node_id), {"Authorization": value})
    assert reply.status == 401
