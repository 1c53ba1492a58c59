"""Node secret keys: every other text proves nothing, and a verified key is held against the row."""

from __future__ import annotations

from base64 import urlsafe_b64encode
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from composer.credentials import SecretKey
from composer.errors import CredentialEnded, DatastoreUnavailable
from composer.identity import AddressedNode, Credential, Principal, PrincipalKind
from server.authn.secret_keys import (
    REMEMBERED_S,
    Authenticator,
    RandomSecretKeys,
    SecretKeyVerifier,
)
from tests.credential_fakes import FakeNodeCredentials
from tests.factories import DOMAIN, EPOCH, node_id
from tests.fakes import FakeClock
from tests.ports.deadlines import in_time
from tests.tokens import NoTokens

NODE = node_id(1)
SECRET = SecretKey(bytes(range(32)))


def nsk(node: UUID = NODE, secret: bytes = SECRET.secret, env: str = "plexd") -> str:
    raw = urlsafe_b64encode(node.bytes + secret).decode().rstrip("=")
    return f"nsk_{env}_{raw}"


@dataclass
class Failures:
    """A limit of ``left`` look-ups that fail."""

    left: int = 9

    def may_look_up(self) -> bool:
        return self.left > 0

    def look_up_failed(self) -> None:
        self.left -= 1


class Arranged:
    def __init__(self) -> None:
        self.failures = Failures()
        self.kept: dict[UUID, tuple[bytes, ...]] = {}
        self.clock = FakeClock()
        self.credentials = FakeNodeCredentials({NODE: (SECRET.digest,)})
        self.reasons: list[str] = []
        self.keys = SecretKeyVerifier(
            self.credentials,
            self.clock,
            self.failures,
            lambda node: self.kept.get(node, ()),
            self.reasons.append,
        )

    def principal(self, text: str) -> Principal | None:
        authenticator = Authenticator(NoTokens(), self.keys, 4_096)  # type: ignore[arg-type]
        return authenticator.principal([f"Bearer {text}"], in_time())


@pytest.fixture
def arranged() -> Arranged:
    return Arranged()


@pytest.mark.parametrize("env", ["plexd", "a", "0" * 32])
def test_a_key_of_the_node_proves_the_node(arranged: Arranged, env: str) -> None:
    principal = arranged.principal(nsk(env=env))
    assert principal == Principal(PrincipalKind.NODE, str(NODE))
    assert principal.credential.secret_key_digest == SECRET.digest


@pytest.mark.parametrize(
    "text",
    [
        nsk(secret=bytes(32)),
        nsk(node=node_id(2)),
        nsk(node=UUID(int=0)),
        nsk(env=""),
        nsk(env="a" * 33),
        nsk(env="Plexd"),
        nsk(env="a_b"),
        nsk()[:-1],
        nsk() + "A",
        nsk() + "=",
        nsk().replace("nsk_", "NSK_"),
        nsk(secret=SECRET.secret[:-1]),
        nsk(secret=SECRET.secret + b"x"),
        "nsk_",
        SECRET.secret.hex(),
    ],
)
def test_any_other_text_proves_nothing(arranged: Arranged, text: str) -> None:
    assert arranged.principal(text) is None


def test_two_headers_prove_nothing(arranged: Arranged) -> None:
    authenticator = Authenticator(NoTokens(), arranged.keys, 4_096)  # type: ignore[arg-type]
    assert authenticator.principal([f"Bearer {nsk()}"] * 2, in_time()) is None


def test_a_verified_key_is_not_looked_up_again_for_a_while(arranged: Arranged) -> None:
    assert arranged.principal(nsk()) is not None
    arranged.credentials.fails = DatastoreUnavailable("away")
    assert arranged.principal(nsk()) is not None
    arranged.clock.now += REMEMBERED_S
    with pytest.raises(DatastoreUnavailable):
        arranged.principal(nsk())


def test_a_wrong_key_is_looked_up_each_time_and_never_remembered(arranged: Arranged) -> None:
    other = SecretKey(bytes(32))
    assert arranged.principal(nsk(secret=other.secret)) is None
    arranged.credentials.digests[NODE] = (other.digest,)
    assert arranged.principal(nsk(secret=other.secret)) is not None


def test_with_postgres_away_an_unknown_key_is_neither_a_yes_nor_a_no(arranged: Arranged) -> None:
    arranged.credentials.fails = DatastoreUnavailable("away")
    with pytest.raises(DatastoreUnavailable):
        arranged.principal(nsk())


def node(digests: tuple[bytes, ...] = (), not_before: datetime | None = None) -> AddressedNode:
    return AddressedNode(NODE, DOMAIN, None, digests, not_before)


def by_key(digest: bytes, number: int = 1) -> Principal:
    credential = Credential(secret_key_digest=digest)
    return Principal(PrincipalKind.NODE, str(node_id(number)), credential)


def by_token(issued_at: datetime | None, number: int = 1) -> Principal:
    return Principal(PrincipalKind.NODE, str(node_id(number)), Credential(issued_at=issued_at))


@pytest.mark.parametrize("position", [0, 1])
def test_a_key_counts_while_its_digest_is_in_the_row(position: int) -> None:
    digests = (bytes([1]) * 32, bytes([2]) * 32)
    node(digests).check_credential(by_key(digests[position]))
    with pytest.raises(CredentialEnded):
        node(digests).check_credential(by_key(bytes([3]) * 32))


@pytest.mark.parametrize("issued_at", [None, EPOCH - timedelta(seconds=1)])
def test_a_token_that_was_issued_too_early_has_ended(issued_at: datetime | None) -> None:
    with pytest.raises(CredentialEnded):
        node(not_before=EPOCH).check_credential(by_token(issued_at))


def test_a_token_that_was_issued_in_time_counts() -> None:
    node(not_before=EPOCH).check_credential(by_token(EPOCH))
    node().check_credential(by_token(None))


def test_a_caller_that_is_not_the_node_has_another_credential() -> None:
    node(not_before=EPOCH).check_credential(by_token(None, number=2))
    service = Principal(
        PrincipalKind.SERVICE, "stand-in", Credential(datetime(2020, 1, 1, tzinfo=UTC))
    )
    node(not_before=EPOCH).check_credential(service)


def test_new_keys_are_32_bytes_and_never_equal_and_never_shown() -> None:
    made = [RandomSecretKeys().new() for _ in range(16)]
    assert {len(key.secret) for key in made} == {32}
    assert len({key.secret for key in made}) == 16
    assert made[0].secret.hex() not in repr(made[0]) and repr(made[0]) == "SecretKey()"


def test_beyond_the_limit_of_failures_only_a_verified_key_counts(arranged: Arranged) -> None:
    arranged.credentials.digests[node_id(2)] = (SECRET.digest,)
    assert arranged.principal(nsk()) is not None
    arranged.failures.left = 1
    assert arranged.principal(nsk(secret=bytes(32))) is None
    arranged.credentials.fails = DatastoreUnavailable("nothing may be looked up")
    assert arranged.principal(nsk(node=node_id(2))) is None
    assert arranged.principal(nsk()) is not None
    assert arranged.reasons == ["unknown_secret_key", "limited_secret_key"]


def test_while_the_ledger_is_away_a_key_counts_that_the_last_answer_had(arranged: Arranged) -> None:
    arranged.credentials.fails = DatastoreUnavailable("away")
    arranged.kept[NODE] = (SECRET.digest,)
    assert arranged.principal(nsk()) == Principal(PrincipalKind.NODE, str(NODE))
    with pytest.raises(DatastoreUnavailable):
        arranged.principal(nsk(secret=bytes(32)))
    del arranged.kept[NODE]
    with pytest.raises(DatastoreUnavailable):
        arranged.principal(nsk())
