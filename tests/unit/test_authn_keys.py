"""The keys of a JWKS that may verify a token."""

import json
from pathlib import Path
from typing import Any

import pytest

from server.authn.key_sources import check_jwks_setting
from server.authn.keys import ignore_warning, parse_key_set
from tests.tokens import (
    SigningKey,
    dumps,
    ed25519_key,
    es256_key,
    jwks,
    rs256_key,
    write_jwks,
)

ED, ES, RS = ed25519_key(), es256_key(), rs256_key()
SHORT_RSA = rs256_key("short", bits=1024)


def changed(key: SigningKey, **changes: Any) -> dict[str, Any]:
    """A public JWK with changes; ``...`` removes a member."""
    return {name: v for name, v in {**key.jwk, **changes}.items() if v is not ...}


def test_the_three_kinds_of_key() -> None:
    keys = parse_key_set(jwks(ED, ES, RS), ignore_warning)
    assert {kid: key.algorithm for kid, key in keys.by_kid.items()} == {
        "ed": "EdDSA",
        "es": "ES256",
        "rs": "RS256",
    }


@pytest.mark.parametrize(
    "change",
    [
        {"alg": ...},
        {"use": ...},
        {"alg": "Ed25519"},
        {"key_ops": ["verify"]},
        {"x5t": "whatever", "unknown": {"a": 1}},
    ],
)
def test_what_a_usable_key_may_say_or_leave_out(change: dict[str, Any]) -> None:
    keys = parse_key_set(dumps({"keys": [changed(ED, **change)]}), ignore_warning)
    assert set(keys.by_kid) == {"ed"}


UNUSABLE: dict[str, Any] = {
    "a shared secret": {"kty": "oct", "kid": "bad", "k": "c2VjcmV0"},
    "a private Ed25519 key": {**ED.private_jwk, "kid": "bad"},
    "a private P-256 key": {**ES.private_jwk, "kid": "bad"},
    "a private RSA key": {**RS.private_jwk, "kid": "bad"},
    "a key to encrypt": changed(ES, kid="bad", use="enc"),
    "a key only to sign": changed(ED, kid="bad", key_ops=["sign"]),
    "key_ops of another type": changed(ED, kid="bad", key_ops="verify"),
    "an alg of another type": changed(ED, kid="bad", alg="RS256"),
    "an HMAC alg on an RSA key": changed(RS, kid="bad", alg="HS256"),
    "PS256": changed(RS, kid="bad", alg="PS256"),
    "an alg that is no text": changed(ED, kid="bad", alg=["EdDSA"]),
    "an alg of null": changed(ED, kid="bad", alg=None),
    "X25519": changed(ED, kid="bad", crv="X25519"),
    "P-384 called P-256": changed(ES, kid="bad", x=ES.jwk["x"] + "AAAA"),
    "secp256k1": changed(ES, kid="bad", crv="secp256k1"),
    "a point off the curve": changed(ES, kid="bad", x=ES.jwk["y"], y=ES.jwk["x"]),
    "kty a list": changed(ED, kid="bad", kty=["OKP"]),
    "x missing": changed(ED, kid="bad", x=...),
    "x a number": changed(ED, kid="bad", x=1),
    "x too short": changed(ED, kid="bad", x="AAAA"),
    "RSA of 1024 bits": changed(SHORT_RSA, kid="bad"),
    "RSA with an exponent of 1": changed(RS, kid="bad", e="AQ"),
    "RSA with an exponent of 3": changed(RS, kid="bad", e="Aw"),
    "no kid": changed(ED, kid=...),
    "a kid beyond ASCII": changed(ED, kid="é"),
    "a kid too long": changed(ED, kid="k" * 257),
    "a kid that is no text": changed(ED, kid=1),
    "not an object": "bad",
}


@pytest.mark.parametrize("name", UNUSABLE)
def test_an_unusable_key_is_left_out_with_a_warning_that_quotes_nothing(name: str) -> None:
    warnings: list[str] = []
    keys = parse_key_set(dumps({"keys": [UNUSABLE[name], RS.jwk]}), warnings.append)
    assert set(keys.by_kid) == {"rs"}
    assert len(warnings) == 1
    assert "key 0 " in warnings[0]
    if isinstance(UNUSABLE[name], dict):
        secrets = [v for k, v in UNUSABLE[name].items() if k in ("d", "k", "n", "x")]
        assert not [s for s in secrets if isinstance(s, str) and s in warnings[0]]


def test_a_kid_that_occurs_twice_names_no_key() -> None:
    warnings: list[str] = []
    twin = ed25519_key("ed")
    keys = parse_key_set(jwks(ED, ES, twin), warnings.append)
    assert set(keys.by_kid) == {"es"}
    assert len(warnings) == 1


def test_a_kid_shared_with_an_unusable_key_names_no_key() -> None:
    oct_twin = {"kty": "oct", "kid": "ed", "k": "c2VjcmV0"}
    keys = parse_key_set(dumps({"keys": [oct_twin, ED.jwk, ES.jwk]}), ignore_warning)
    assert set(keys.by_kid) == {"es"}


NO_KEY_SETS = {
    "nothing": b"",
    "no JSON": b"{",
    "a list": b"[]",
    "a bare key": dumps(ED.jwk),
    "keys no list": b'{"keys":{}}',
    "no keys": b'{"keys":[]}',
    "only unusable keys": dumps({"keys": [{"kty": "oct", "kid": "a", "k": "AAAA"}]}),
    "keys twice": b'{"keys":[],"keys":[]}',
    "not UTF-8": b"\xff",
}


@pytest.mark.parametrize("name", NO_KEY_SETS)
def test_what_is_no_key_set(name: str) -> None:
    with pytest.raises(ValueError):
        parse_key_set(NO_KEY_SETS[name], ignore_warning)


@pytest.mark.parametrize("name", NO_KEY_SETS)
def test_a_setting_that_names_a_bad_file_is_complained_about(name: str, tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_bytes(NO_KEY_SETS[name])
    assert "JWKS" in (check_jwks_setting(str(path)) or "")


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "/no/such/file",
        "/dev/null",
        "/dev/zero",
        "/",
        "nul\0byte",
        "http://keys.test/jwks.json",
        "http://127.0.0.1.evil.test/jwks.json",
        "http://10.0.0.1/jwks.json",
        "ftp://127.0.0.1/jwks.json",
        "file:///etc/jwks.json",
        "https://",
        "https:///jwks.json",
        "https://keys.test:port/",
        "https://[::1/",
    ],
)
def test_a_malformed_setting_is_complained_about(value: str) -> None:
    assert check_jwks_setting(value) is not None


@pytest.mark.parametrize(
    "value",
    [
        "https://keys.test/jwks.json",
        "http://127.0.0.1:8099/jwks.json",
        "http://[::1]:8099/jwks.json",
        "http://localhost/jwks.json",
    ],
)
def test_a_url_is_accepted_without_being_fetched(value: str) -> None:
    assert check_jwks_setting(value) is None


def test_a_file_with_a_usable_key_is_accepted(tmp_path: Path) -> None:
    assert check_jwks_setting(str(write_jwks(tmp_path / "jwks.json", ED))) is None


def test_a_fifo_is_refused_at_once(tmp_path: Path) -> None:
    import os

    os.mkfifo(tmp_path / "jwks.json")
    assert check_jwks_setting(str(tmp_path / "jwks.json")) is not None


def test_a_key_set_that_is_too_large_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "jwks.json"
    path.write_text(json.dumps({"keys": [ED.jwk], "pad": "x" * 300_000}))
    assert check_jwks_setting(str(path)) is not None
