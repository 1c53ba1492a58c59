"""The service's own keys: what may sign, what is published, and how they are followed."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from composer.errors import KeysUnavailable, SigningUnavailable
from server.authn.key_documents import DocumentError, FixedDocument
from server.authn.key_sources import RefreshingKeys
from server.authn.keys import NO_KEYS, KeySet, ignore_warning, parse_key_set
from server.authn.signing import (
    JoinedKeys,
    OwnKeys,
    check_signing_setting,
    own_keys,
    parse_signing_keys,
    signing_document,
    thumbprint,
)
from server.telemetry.probes import FAILURES_TO_DEGRADE, Degraded, Down, keys_probe
from tests.fakes import FakeClock
from tests.ports.deadlines import in_time
from tests.tokens import (
    FixedKeys,
    SigningKey,
    ed25519_key,
    es256_key,
    jwks,
    rs256_key,
    token,
    verifier,
)

ED, ES, RS = ed25519_key(), es256_key(), rs256_key()
ALL = {"EdDSA": ED, "ES256": ES, "RS256": RS}
PRIVATE = {"d", "p", "q", "dp", "dq", "qi", "oth", "k"}
# RFC 8037, appendix A.1 and A.3: a private key and its thumbprint.
RFC_8037 = {
    "kty": "OKP",
    "crv": "Ed25519",
    "d": "nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A",
    "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
}
RFC_8037_NAME = "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"


def document(*keys: SigningKey) -> bytes:
    return json.dumps({"keys": [key.private_jwk for key in keys]}).encode()


def jwk_text(**changes: Any) -> bytes:
    """An Ed25519 key with changes; ``...`` takes a member away."""
    jwk = {**ED.private_jwk, **changes}
    return json.dumps({name: value for name, value in jwk.items() if value is not ...}).encode()


@pytest.mark.parametrize("key", ALL.values(), ids=ALL)
def test_a_single_jwk_signs_with_the_algorithm_of_its_type(key: SigningKey) -> None:
    (found,) = parse_signing_keys(json.dumps(key.private_jwk).encode()).members
    assert (found.public.kid, found.public.algorithm) == (key.kid, key.algorithm)


@pytest.mark.parametrize("key", ALL.values(), ids=ALL)
def test_what_is_published_is_public_and_a_key_set_that_we_accept(key: SigningKey) -> None:
    (found,) = parse_signing_keys(json.dumps(key.private_jwk).encode()).members
    assert PRIVATE.isdisjoint(found.public_jwk)
    assert dict(found.public_jwk) == key.jwk
    published = json.dumps({"keys": [found.public_jwk]}).encode()
    assert parse_key_set(published, ignore_warning).by_kid[key.kid].jwk.key == found.public.jwk.key


def test_a_key_without_a_kid_is_called_by_its_thumbprint() -> None:
    (found,) = parse_signing_keys(json.dumps(RFC_8037).encode()).members
    assert found.public.kid == RFC_8037_NAME
    assert found.public_jwk["kid"] == RFC_8037_NAME


def test_the_thumbprint_of_an_rsa_key_is_that_of_rfc_7638() -> None:
    modulus = (
        "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPeb"
        "WKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368Q"
        "QMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2"
        "NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw"
    )
    assert (
        thumbprint({"n": modulus, "kty": "RSA", "e": "AQAB"})
        == "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    )


def test_of_a_set_the_first_signs_and_all_are_trusted_and_published() -> None:
    own = OwnKeys(FixedDocument(document(ES, ED, RS)))
    assert own.signing_key().public.kid == "es"
    assert set(own.current().by_kid) == {"es", "ed", "rs"}
    assert [key["kid"] for key in own.jwks()["keys"]] == ["es", "ed", "rs"]  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("raw", "reason"),
    [
        (b"", ""),
        (b"{", ""),
        (b"[]", "not an object"),
        (b"{}", "neither Ed25519, P-256 nor RSA"),
        (b'{"keys":[]}', "neither a JWK nor a set"),
        (b'{"keys":{}}', "neither a JWK nor a set"),
        (b'{"keys":[7]}', "not an object"),
        (b'{"kty":"oct","k":"c2VjcmV0","kid":"a"}', "symmetric"),
        (jwk_text(k="c2VjcmV0"), "symmetric"),
        (json.dumps(ED.jwk).encode(), "no private part"),
        (json.dumps(RS.jwk).encode(), "no private part"),
        (json.dumps(rs256_key(bits=1024).private_jwk).encode(), "2048 to 8192 bits"),
        (jwk_text(crv="Ed448"), "neither Ed25519"),
        (jwk_text(crv="X25519"), "neither Ed25519"),
        (jwk_text(x=ed25519_key().jwk["x"]), "make no key"),
        (jwk_text(x=...), "make no key"),
        (jwk_text(d=""), "make no key"),
        (jwk_text(alg="ES256"), "alg does not fit"),
        (jwk_text(alg="HS256"), "alg does not fit"),
        (jwk_text(use="enc"), "use is not sig"),
        (jwk_text(key_ops=["verify"]), "key_ops"),
        (jwk_text(kid=""), "kid"),
        (jwk_text(kid=7), "kid"),
        (jwk_text(kid="a\nb"), "kid"),
        (document(ED, ES, ed25519_key()), "kid of another"),
        (json.dumps({"keys": [ED.private_jwk, ES.jwk]}).encode(), "key 1 cannot sign"),
    ],
)
def test_what_cannot_sign_is_refused_and_nothing_of_it_is_quoted(raw: bytes, reason: str) -> None:
    with pytest.raises(ValueError) as refused:
        parse_signing_keys(raw)
    text = str(refused.value)
    assert reason in text
    assert ED.private_jwk["d"] not in text and "c2VjcmV0" not in text


class Rotating:
    """A key file, and a source that follows it."""

    def __init__(self, folder: Path, *keys: SigningKey) -> None:
        self.path = folder / "signing-key.json"
        self.clock = FakeClock()
        self.warnings: list[str] = []
        self.put(document(*keys))
        found = own_keys(str(self.path), on_warning=self.warnings.append, clock=self.clock)
        assert found is not None
        self.own = found

    def put(self, raw: bytes) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_bytes(raw)
        beside.replace(self.path)

    def kids(self) -> tuple[str, list[str]]:
        return self.own.signing_key().public.kid, list(self.own.current().by_kid)


def test_a_rotated_file_is_followed_within_a_second(tmp_path: Path) -> None:
    rotating = Rotating(tmp_path, ED)
    assert rotating.kids() == ("ed", ["ed"])
    rotating.put(document(ES, ED))
    rotating.clock.now += 1
    assert rotating.kids() == ("es", ["es", "ed"])
    rotating.put(document(ES))
    rotating.clock.now += 1
    assert rotating.kids() == ("es", ["es"])


def test_a_key_that_another_worker_signed_with_is_looked_for_at_once(tmp_path: Path) -> None:
    rotating = Rotating(tmp_path, ED)
    assert rotating.kids() == ("ed", ["ed"])
    rotating.put(document(ES, ED))
    assert "es" not in rotating.own.current().by_kid
    assert "es" in rotating.own.refreshed_for("es").by_kid


@pytest.mark.parametrize("raw", [b"", b"{", document(), json.dumps(ES.jwk).encode()])
def test_a_file_that_went_bad_leaves_the_old_keys_and_a_warning(tmp_path: Path, raw: bytes) -> None:
    rotating = Rotating(tmp_path, ED)
    assert rotating.kids() == ("ed", ["ed"])
    rotating.put(raw)
    rotating.clock.now += 1
    assert rotating.kids() == ("ed", ["ed"])
    assert rotating.warnings
    assert ES.private_jwk["d"] not in "".join(rotating.warnings)


def test_a_file_that_is_gone_leaves_the_old_keys(tmp_path: Path) -> None:
    rotating = Rotating(tmp_path, ED)
    assert rotating.kids() == ("ed", ["ed"])
    rotating.path.unlink()
    rotating.clock.now += 1
    assert rotating.kids() == ("ed", ["ed"])


def test_a_file_that_was_never_there_signs_nothing_and_says_so(tmp_path: Path) -> None:
    own = OwnKeys(signing_document(str(tmp_path / "none.json")))
    assert own.current() is NO_KEYS
    for ask in (own.signing_key, own.jwks):
        with pytest.raises(SigningUnavailable):
            ask()


def test_the_setting_may_be_the_key_itself() -> None:
    own = own_keys(json.dumps(ED.private_jwk))
    assert own is not None and own.signing_key().public.kid == "ed"


def test_without_a_setting_there_is_no_source() -> None:
    assert own_keys("") is None


def joined(
    own: SigningKey, *others: SigningKey, warn: Callable[[str], None] = ignore_warning
) -> Any:
    held = FixedKeys(*others)
    return JoinedKeys(OwnKeys(FixedDocument(document(own))), held, warn), held


def test_both_sets_are_trusted() -> None:
    keys, _ = joined(ED, ES)
    assert set(keys.current().by_kid) == {"ed", "es"}


def test_the_joined_set_is_the_same_object_while_neither_changes() -> None:
    keys, others = joined(ED, ES)
    before = keys.current()
    assert keys.current() is before and keys.refreshed_for("ed") is before
    others.rotate(RS)
    assert keys.current() is not before
    assert set(keys.current().by_kid) == {"ed", "rs"}


def test_a_kid_that_the_key_set_uses_for_another_key_is_ours_and_is_told() -> None:
    warnings: list[str] = []
    stranger = ed25519_key("ed")
    keys, _ = joined(ED, stranger, ES, warn=warnings.append)
    own = parse_signing_keys(document(ED)).trusted.by_kid["ed"]
    assert keys.current().by_kid["ed"].jwk.key == own.jwk.key
    assert len(warnings) == 1 and "'ed'" in warnings[0]


def test_our_own_public_half_in_the_key_set_is_no_dispute() -> None:
    warnings: list[str] = []
    keys, _ = joined(ED, ED, warn=warnings.append)
    assert set(keys.current().by_kid) == {"ed"} and warnings == []


def test_an_unknown_kid_is_searched_for_in_both_and_ours_asks_nobody_else() -> None:
    keys, others = joined(ED, ES)
    keys.refreshed_for("ed")
    assert others.searched == []
    keys.refreshed_for("new")
    assert others.searched == ["new"]


def test_a_setting_without_a_complaint(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks(ED, ES))
    assert check_signing_setting(json.dumps(ED.private_jwk), str(file)) is None
    assert check_signing_setting(json.dumps(ED.private_jwk), "https://keys.test/jwks") is None


def test_a_kid_that_the_key_set_has_for_another_key_is_complained_of(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    file.write_bytes(jwks(ed25519_key("ed"), ES))
    complaint = check_signing_setting(json.dumps(ED.private_jwk), str(file))
    assert complaint == "has a key whose kid is that of another key in PLEXSPHERE_JWKS"


class NoOthers:
    """A key set that never could be loaded."""

    def current(self) -> KeySet:
        return NO_KEYS

    def refreshed_for(self, kid: str) -> KeySet:
        return NO_KEYS

    def describe(self) -> tuple[bool, str]:
        return False, "no keys: ConnectionError"


def refreshing(clock: FakeClock, max_age: float = 0.0) -> RefreshingKeys:
    """Of a document that can be read once."""
    return RefreshingKeys(
        FailingDocument(),
        refresh_interval=1.0,
        min_interval=1.0,
        in_background=False,
        clock=clock,
        on_warning=ignore_warning,
        max_age=max_age,
    )


def test_a_set_that_cannot_be_refreshed_again_and_again_is_degraded() -> None:
    keys = refreshing(clock := FakeClock())
    probe = keys_probe(keys, failures=keys.failures)
    for _ in range(FAILURES_TO_DEGRADE):
        probe(in_time())
        clock.now += 1.5
    with pytest.raises(Degraded):
        probe(in_time())


def test_a_set_that_is_too_old_is_none() -> None:
    keys = refreshing(clock := FakeClock(), max_age=60.0)
    assert keys.current().by_kid
    clock.now += 60
    assert keys.current().by_kid
    clock.now += 1
    assert keys.current() is NO_KEYS


class FailingDocument:
    """Can be read once."""

    reads = 0

    def read(self) -> bytes | None:
        self.reads += 1
        if self.reads > 1:
            raise DocumentError("away")
        return jwks(ED)

    def accept(self) -> None:
        pass


@pytest.mark.parametrize("has_own", [False, True], ids=["no keys", "our own alone"])
def test_without_the_key_set_an_unknown_key_is_no_401(has_own: bool) -> None:
    own = OwnKeys(FixedDocument(document(ED)))
    source = JoinedKeys(own, NoOthers()) if has_own else NoOthers()
    with pytest.raises(KeysUnavailable):
        verifier(source).principal([f"Bearer {token(ed25519_key('elsewhere'))}"])


def test_while_the_key_set_is_away_nodes_with_our_tokens_are_still_known() -> None:
    own = OwnKeys(FixedDocument(document(ED)))
    keys = JoinedKeys(own, NoOthers())
    assert set(keys.current().by_kid) == {"ed"}
    with pytest.raises(Degraded):
        keys_probe(NoOthers(), own)(in_time())


def test_without_any_key_nobody_is_known_and_readiness_says_so(tmp_path: Path) -> None:
    own = OwnKeys(signing_document(str(tmp_path / "none.json")))
    assert JoinedKeys(own, NoOthers()).current() is NO_KEYS
    for ours in (own, None):
        with pytest.raises(Down):
            keys_probe(NoOthers(), ours)(in_time())
