"""Gate 1: which tokens name a Principal, and for how long one that was verified does."""

from datetime import UTC, datetime
from typing import Any

import pytest

from composer.identity import Principal, PrincipalKind
from server.authn.keys import KeySet
from tests.fakes import FakeClock
from tests.tokens import (
    AUDIENCE,
    NODE_ID,
    Door,
    FixedKeys,
    SigningKey,
    bearer,
    ed25519_key,
    es256_key,
    rs256_key,
    token,
    token_of_length,
    verifier,
)
from tests.tokens import LEEWAY_S as LEEWAY

NOW = 1_700_000_000.0
ED, ES, RS = ed25519_key(), es256_key(), rs256_key()
STRANGER = ed25519_key("ed")  # the same kid, another key
NODE = Principal(PrincipalKind.NODE, NODE_ID)


def good(key: SigningKey = ED, **changes: Any) -> str:
    return token(key, now=NOW, **changes)


def door(*keys: SigningKey, cache_size: int = 100) -> Door:
    return Door(*(keys or (ED, ES, RS)), now=NOW, cache_size=cache_size)


GOOD = good()


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER", "bEaReR"])
def test_the_scheme_has_any_case(scheme: str) -> None:
    assert door().ask(f"{scheme} {GOOD}") == NODE


def test_spaces_around_the_one_token_mean_nothing() -> None:
    assert door().ask(f" Bearer   {GOOD} \t") == NODE


@pytest.mark.parametrize(
    ("sub", "kind", "name"),
    [
        (f"node:{NODE_ID}", PrincipalKind.NODE, NODE_ID),
        ("service:ci", PrincipalKind.SERVICE, "ci"),
        ("user:ann", PrincipalKind.USER, "ann"),
        ("user:a/b_c|d-e=f+1", PrincipalKind.USER, "a/b_c|d-e=f+1"),
        ("user:" + "a" * 128, PrincipalKind.USER, "a" * 128),
    ],
)
def test_the_three_kinds_of_subject(sub: str, kind: PrincipalKind, name: str) -> None:
    assert door().ask(f"Bearer {good(sub=sub)}") == Principal(kind, name)


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": ["other", AUDIENCE]},
        {"iat": ..., "nbf": ...},
        {"exp": NOW + 0.5},
        {"exp": NOW - LEEWAY + 1},
        {"nbf": NOW + LEEWAY, "iat": NOW + LEEWAY},
        {"scope": "read", "roles": ["a", {"b": ["c"]}], "name": "Zoë 😀"},
    ],
)
def test_what_a_good_token_may_also_say(changes: dict[str, object]) -> None:
    assert door().ask(f"Bearer {good(**changes)}") == NODE


@pytest.mark.parametrize("typ", [..., "JWT", "jwt", "at+jwt", "application/at+jwt"])
def test_the_types_of_a_good_token(typ: object) -> None:
    assert door().ask(f"Bearer {good(headers={'typ': typ, 'x5t': 'ignored'})}") == NODE


def test_the_longest_token() -> None:
    assert door().ask(f"Bearer {token_of_length(ED, 4096, NOW)}") == NODE


def test_a_verifier_for_one_algorithm_refuses_the_others() -> None:
    keys = FixedKeys(ED, ES, RS)
    clock = FakeClock(NOW)
    only = verifier(keys, algorithms=["ES256"], clock=clock)
    assert only.principal([f"Bearer {good(ES)}"]) == NODE
    assert only.principal([f"Bearer {good(ED)}"]) is None
    assert only.principal([f"Bearer {good(RS)}"]) is None


@pytest.mark.parametrize("algorithms", [[], ["HS256"], ["EdDSA", "none"]])
def test_a_verifier_is_not_built_with_another_algorithm(algorithms: list[str]) -> None:
    with pytest.raises(ValueError, match="algorithms"):
        verifier(FixedKeys(ED), algorithms=algorithms)


def test_a_token_seen_before_still_expires() -> None:
    at = door()
    text = f"Bearer {good(exp=NOW + 60)}"
    assert at.ask(text) == NODE
    at.clock.now = NOW + 60 + LEEWAY - 1
    assert at.ask(text) == NODE
    at.clock.now = NOW + 60 + LEEWAY
    assert at.ask(text) is None
    at.clock.now = NOW
    assert at.ask(text) == NODE


def test_a_token_seen_before_is_not_valid_before_its_time() -> None:
    """The wall clock may be set back."""
    at = door()
    text = f"Bearer {good(nbf=NOW)}"
    assert at.ask(text) == NODE
    at.clock.now = NOW - LEEWAY - 1
    assert at.ask(text) is None


def test_a_token_seen_before_dies_with_its_key() -> None:
    at = door()
    text = f"Bearer {GOOD}"
    assert at.ask(text) == NODE
    at.source.rotate(ES)
    assert at.ask(text) is None
    at.source.rotate(STRANGER)
    assert at.ask(text) is None
    at.source.rotate(ED)
    assert at.ask(text) == NODE


def test_no_more_tokens_are_remembered_than_allowed() -> None:
    at = door(cache_size=3)
    for second in range(10):
        assert at.ask(f"Bearer {good(exp=NOW + 60 + second)}") == NODE
    assert len(at.verifier._cache._tokens) == 3


def test_a_refused_token_is_not_remembered() -> None:
    at = door()
    assert at.ask(f"Bearer {good(exp=0)}") is None
    assert at.ask(f"Bearer {good(aud='other')}") is None
    assert len(at.verifier._cache._tokens) == 0


def test_a_key_unknown_so_far_is_looked_for_and_used() -> None:
    at = door(ES)

    def found(kid: str) -> KeySet:
        at.source.rotate(ED, ES)
        return at.source.keys

    at.source.refreshed_for = found  # type: ignore[method-assign]
    assert at.ask(f"Bearer {GOOD}") == NODE


def test_a_malformed_token_causes_no_search_for_a_key() -> None:
    at = door(ES)
    assert at.ask(f"Bearer {good(headers={'alg': 'HS256'})}") is None
    assert at.source.searched == []
    assert at.ask(f"Bearer {GOOD}") is None
    assert at.source.searched == ["ed"]


def test_a_source_or_listener_that_fails_lets_nobody_in_and_raises_nothing() -> None:
    class Broken:
        def current(self) -> KeySet:
            raise RuntimeError("no keys today")

        def refreshed_for(self, kid: str) -> KeySet:
            raise RuntimeError("no keys today")

        def describe(self) -> tuple[bool, str]:
            return False, ""

    def listener(reason: str) -> None:
        raise RuntimeError(reason)

    broken = verifier(Broken(), on_refused=listener)
    assert broken.principal([bearer(GOOD)["Authorization"]]) is None


@pytest.mark.parametrize(
    ("claims", "issued_at"),
    [
        ({"iat": NOW}, datetime.fromtimestamp(NOW, UTC)),
        ({"iat": NOW - 0.5}, datetime.fromtimestamp(NOW - 0.5, UTC)),
        ({"iat": -1e11}, None),
        ({"iat": ...}, None),
    ],
    ids=["second", "fraction", "no date", "absent"],
)
def test_a_principal_says_when_its_token_was_issued(
    claims: dict[str, Any], issued_at: datetime | None
) -> None:
    principal = door().ask(f"Bearer {good(**claims)}")
    assert principal is not None
    assert principal.credential.issued_at == issued_at


def test_a_principal_says_from_when_its_token_is_refused() -> None:
    asked, token = door(), f"Bearer {good(exp=NOW + 60)}"
    principal = asked.ask(token)
    assert principal is not None and principal.credential.expires_at is not None
    asked.clock.now = principal.credential.expires_at.timestamp() - 0.001
    assert asked.ask(token) == principal
    asked.clock.now += 0.001
    assert asked.ask(token) is None
