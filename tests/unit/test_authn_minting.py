"""Node-agent JWTs: what is minted is accepted, by this service and under its own keys only."""

from __future__ import annotations

import hmac
import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from composer.errors import SigningUnavailable
from server.authn.key_documents import FixedDocument
from server.authn.signing import JoinedKeys, JwtMint, OwnKeys, signing_document
from tests.credential_fakes import FakeTokenMint
from tests.fakes import FakeClock
from tests.ports.token_mint import NODE, TokenMintSuite
from tests.tokens import (
    AUDIENCE,
    ISSUER,
    FixedKeys,
    SigningKey,
    b64,
    dumps,
    ed25519_key,
    es256_key,
    rs256_key,
    token,
    verifier,
)

NOW = 1_700_000_000.75
PEOPLE = ed25519_key("people")
KEYS = {"EdDSA": ed25519_key("ours"), "ES256": es256_key("ours"), "RS256": rs256_key("ours")}


class Minted:
    """The real mint and the real verifier over one signing key, on one clock."""

    def __init__(self, key: SigningKey = KEYS["EdDSA"]) -> None:
        self.clock = FakeClock(NOW)
        self.own = OwnKeys(FixedDocument(json.dumps(key.private_jwk).encode()), clock=self.clock)
        self.mint = JwtMint(self.own, ISSUER, AUDIENCE, self.clock)
        self.reasons: list[str] = []
        self.verifier = verifier(
            JoinedKeys(self.own, FixedKeys(PEOPLE)),
            clock=self.clock,
            on_refused=self.reasons.append,
        )

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.clock(), UTC)

    def wait(self, time: timedelta) -> None:
        self.clock.now += time.total_seconds()

    def subject(self, text: str) -> str | None:
        principal = self.verifier.principal([f"Bearer {text}"])
        return principal.subject if principal else None

    def lose_key(self) -> None:
        self.mint = JwtMint(
            OwnKeys(signing_document("/nowhere/signing-key.json")), ISSUER, AUDIENCE, self.clock
        )


class MintedOnPaper:
    """The fake, and a service that accepts what the fake remembers."""

    def __init__(self) -> None:
        self.mint = FakeTokenMint()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.mint.clock(), UTC)

    def wait(self, time: timedelta) -> None:
        self.mint.clock.now += time.total_seconds()

    def subject(self, text: str) -> str | None:
        node, until = self.mint.minted[text]
        return f"node:{node}" if self.now() < until else None

    def lose_key(self) -> None:
        self.mint.fails = SigningUnavailable("lost")


class TestFakeTokenMint(TokenMintSuite):
    @pytest.fixture
    def facts(self) -> MintedOnPaper:
        return MintedOnPaper()


@pytest.mark.parametrize("algorithm", KEYS)
class TestJwtMint(TokenMintSuite):
    @pytest.fixture
    def facts(self, algorithm: str) -> Minted:
        return Minted(KEYS[algorithm])


def decoded(text: str) -> dict[str, Any]:
    claims: dict[str, Any] = jwt.decode(text, options={"verify_signature": False})
    return claims


def test_a_token_says_who_for_whom_from_when_until_when_and_which_one() -> None:
    minted = Minted()
    text = minted.mint.mint(NODE, None).token
    claims = decoded(text)
    jti = claims.pop("jti")
    now = int(NOW)
    assert claims == {
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": f"node:{NODE}",
        "iat": now,
        "nbf": now,
        "exp": now + 24 * 3600,
    }
    assert len(jti) == 32
    assert jwt.get_unverified_header(text) == {"alg": "EdDSA", "typ": "JWT", "kid": "ours"}


def test_what_the_answer_calls_the_expiry_is_the_tokens_own() -> None:
    token = Minted().mint.mint(NODE, None)
    assert decoded(token.token)["exp"] == token.expires_at.timestamp()


@pytest.mark.parametrize("algorithm", KEYS)
def test_a_token_of_another_key_with_our_kid_is_nobodys(algorithm: str) -> None:
    another_size = partial(rs256_key, bits=2056)  # the usual size is made once a process
    make = {"EdDSA": ed25519_key, "ES256": es256_key, "RS256": another_size}[algorithm]
    minted = Minted(KEYS[algorithm])
    assert minted.subject(token(KEYS[algorithm], now=NOW)) is not None
    assert minted.subject(token(make("ours"), now=NOW)) is None
    assert minted.reasons == ["bad_signature"]


def test_a_token_of_another_algorithm_with_our_kid_is_nobodys() -> None:
    minted = Minted(KEYS["RS256"])
    assert minted.subject(token(es256_key("ours"), now=NOW)) is None
    assert minted.reasons == ["key_mismatch"]


@pytest.mark.parametrize("algorithm", ["none", "HS256"])
def test_none_and_an_hmac_with_the_published_key_are_nobodys(algorithm: str) -> None:
    """PyJWT will not make such a token, so it is put together by hand."""
    minted = Minted(KEYS["RS256"])
    good = minted.mint.mint(NODE, None).token
    key = KEYS["RS256"].private.public_key()
    secret = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    text = f"{b64(dumps({'alg': algorithm, 'kid': 'ours'}))}.{good.split('.')[1]}"
    digest = b"" if algorithm == "none" else hmac.digest(secret, text.encode(), "sha256")
    forged = f"{text}.{b64(digest)}"
    assert minted.subject(forged) is None
    assert minted.reasons == ["algorithm"]
    assert minted.subject(good) == f"node:{NODE}"


def test_a_key_in_the_key_set_with_our_kid_signs_nothing_and_ours_goes_on() -> None:
    """A writer of the key set can neither sign as this service nor shut its Nodes out."""
    minted = Minted()
    usurper = ed25519_key("ours")
    keys = JoinedKeys(minted.own, FixedKeys(PEOPLE, usurper))
    minted.verifier = verifier(keys, clock=minted.clock)
    assert minted.subject(token(usurper, now=NOW)) is None
    assert minted.subject(minted.mint.mint(NODE, None).token) == f"node:{NODE}"


def test_tokens_of_the_key_set_beside_ours_go_on_being_accepted() -> None:
    minted = Minted()
    assert minted.subject(token(PEOPLE, sub="user:ann", now=NOW)) == "user:ann"


def test_nothing_of_the_private_key_is_in_a_token_or_a_repr() -> None:
    key = KEYS["EdDSA"]
    minted = Minted(key)
    text = minted.mint.mint(NODE, None).token
    secret = key.private_jwk["d"]
    assert secret not in repr(minted.own.signing_key()) and secret not in text
