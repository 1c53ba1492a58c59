"""GetJwks: the public halves for everyone, and a private part for nobody."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from composer.errors import SigningUnavailable
from server.authn.key_documents import FixedDocument
from server.authn.signing import OwnKeys
from server.settings import Settings
from server.wiring import wire
from tests.factories import node_id
from tests.ports.in_process import FakeService
from tests.tokens import ed25519_key, es256_key, rs256_key

PATH = "/.well-known/jwks.json"
KEYS = (ed25519_key(), es256_key(), rs256_key())


def test_every_kind_of_key_is_published_in_the_order_of_the_file() -> None:
    text = json.dumps({"keys": [key.private_jwk for key in KEYS]})
    answer = wire(Settings(signing_key=text)).app.test_client().get(PATH)
    assert (answer.status_code, answer.mimetype) == (200, "application/json")
    assert json.loads(answer.data) == {"keys": [key.jwk for key in KEYS]}
    assert answer.headers["Cache-Control"] == "public, max-age=300"


def test_without_a_signing_key_the_set_is_empty() -> None:
    assert wire(Settings()).app.test_client().get(PATH).data == b'{"keys":[]}'


@pytest.mark.parametrize("part", ["d", "p", "q", "dp", "dq", "qi", "k", "oth", "key_ops"])
def test_a_key_with_a_private_part_never_leaves(part: str) -> None:
    """The contract is the second line: what is not declared public is withheld."""
    service = FakeService()
    service.published.given = [{**ed25519_key().jwk, part: "c2VjcmV0"}]
    answer = service.ask(PATH)
    assert answer.status_code == 500
    assert b"c2VjcmV0" not in answer.data


def test_keys_that_should_be_there_and_are_not_are_a_500_and_not_an_empty_set() -> None:
    service = FakeService()
    service.published.fails = SigningUnavailable("gone")
    answer = service.ask(PATH)
    assert (answer.status_code, b"gone" in answer.data) == (500, False)


def test_minting_and_renewal_are_wired_only_with_a_signing_key(tmp_path: Path) -> None:
    live = Settings(
        dsn="postgresql://reader@127.0.0.1:1/x",
        jwks=str(tmp_path / "jwks.json"),
        jwt_issuer="i",
        jwt_audience="a",
    )
    with_key = Settings(
        dsn=live.dsn,
        jwks=live.jwks,
        jwt_issuer="i",
        jwt_audience="a",
        signing_key=json.dumps(KEYS[0].private_jwk),
    )
    found = []
    for settings in (live, with_key):
        service = wire(settings)
        receipt = service.receipt
        found.append((receipt.ports["TokenMint"], receipt.operations["RenewNodeToken"]))
        answer = service.app.test_client().post(f"/v1/nodes/{node_id(1)}/token")
        assert answer.status_code == (401 if found[-1][0] else 501)
        assert receipt.complete  # a pull needs no signing key
        service.close()
    assert found == [(None, "refused"), ("JwtMint", "live")]


def test_what_is_published_verifies_what_is_signed_now() -> None:
    own = OwnKeys(FixedDocument(json.dumps({"keys": [k.private_jwk for k in KEYS]}).encode()))
    first = own.jwks()["keys"][0]  # type: ignore[index]
    assert first["kid"] == own.signing_key().public.kid


def test_a_file_that_goes_bad_before_the_first_request_is_not_missed(tmp_path: Path) -> None:
    """The keys are read when a worker starts, which would have none otherwise."""
    file = tmp_path / "signing-key.json"
    file.write_text(json.dumps(KEYS[0].private_jwk))
    client = wire(Settings(signing_key=str(file))).app.test_client()
    file.write_text("{}")
    assert json.loads(client.get(PATH).data) == {"keys": [KEYS[0].jwk]}
