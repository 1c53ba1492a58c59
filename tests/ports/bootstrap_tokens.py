"""The promises of every BootstrapTokens (``composer.enrolment.BootstrapTokens``)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any, Protocol
from uuid import UUID

import pytest

from composer.enrolment import BootstrapTokens, Enrolment, IssuedToken, NewBootstrapToken
from composer.errors import (
    BootstrapTokenInvalid,
    ComposerError,
    DatastoreUnavailable,
    DomainNotFound,
    NodeQuotaExceeded,
    NonceCollision,
    PoolExhausted,
    ProjectMismatch,
    PublicKeyRegistered,
    ResourceNotFound,
    TokenConsumed,
    TokenExpired,
)
from composer.identity import Principal, PrincipalKind
from composer.registry import RegisteredNode
from tests.factories import DOMAIN, WRITE, key_bytes, node_id
from tests.ports.deadlines import expired, in_time
from tests.ports.node_registry import NODE_QUOTA, SMALL

PROJECT = UUID("0190c000-0000-7000-8000-00000000aaaa")
WANTED = NewBootstrapToken(
    digest=bytes(range(32)),
    project_id=PROJECT,
    resource_handle=None,
    lifetime=timedelta(minutes=5),
    issuer="user:ann",
)
SECRET_KEY = bytes([7]) * 32


def enrolment(number: int, **changes: Any) -> Enrolment:
    """Of a Node with a key, a nonce and a handle of its own."""
    values: dict[str, Any] = {
        "project_id": PROJECT,
        "resource_handle": f"press-{number}",
        "nonce": f"nonce-{number}",
        "public_key": key_bytes(number),
        "secret_key_digest": SECRET_KEY,
    }
    return Enrolment(**values | changes)


class BootstrapTokenFacts(Protocol):
    """The Domains of ``tests.ports.node_registry.RANGES``, without a Node, each with room for
    ``NODE_QUOTA``."""

    tokens: BootstrapTokens

    def digests_of(self, node: UUID) -> tuple[bytes, ...]:
        """The digests of the Node's secret keys."""
        ...

    def key_of(self, node: UUID) -> bytes | None: ...

    def time_passes(self, by: timedelta) -> None: ...

    def go_away(self) -> None:
        """From now on the store does not answer."""
        ...


def issue(
    facts: BootstrapTokenFacts, domain: UUID = DOMAIN, wanted: NewBootstrapToken = WANTED
) -> IssuedToken:
    return facts.tokens.issue(domain, wanted, WRITE, in_time())


def enrol(facts: BootstrapTokenFacts, token: IssuedToken, wanted: Enrolment) -> RegisteredNode:
    return facts.tokens.enrol(token.token_id, wanted, WRITE, in_time())


class BootstrapTokensSuite:
    """Override ``facts``."""

    @pytest.fixture
    def facts(self) -> BootstrapTokenFacts:
        raise NotImplementedError

    def test_an_issued_token_is_found_with_its_issuer(self, facts: BootstrapTokenFacts) -> None:
        token = issue(facts)
        assert token.expires_at - token.issued_at == WANTED.lifetime
        found = facts.tokens.find(token.token_id, in_time())
        assert (found.id, found.domain_id, found.digest) == (token.token_id, DOMAIN, WANTED.digest)
        assert found.issuer == Principal(PrincipalKind.USER, "ann")

    def test_a_token_enrols_one_node_with_its_key_and_secret_key(
        self, facts: BootstrapTokenFacts
    ) -> None:
        token = issue(facts)
        node = enrol(facts, token, enrolment(1))
        assert (node.mesh_ip, node.domain_mesh_cidr) == ("10.42.0.1", "10.42.0.0/16")
        assert facts.key_of(node.node_id) == key_bytes(1)
        assert facts.digests_of(node.node_id) == (SECRET_KEY,)
        with pytest.raises(TokenConsumed):
            enrol(facts, token, enrolment(2))

    def test_a_nonce_of_the_domain_is_refused_also_with_another_token(
        self, facts: BootstrapTokenFacts
    ) -> None:
        first, second, elsewhere = issue(facts), issue(facts), issue(facts, SMALL)
        enrol(facts, first, enrolment(1))
        again = enrolment(2, nonce="nonce-1", secret_key_digest=bytes(32))
        for token in (first, second):
            with pytest.raises(NonceCollision):
                facts.tokens.enrol(token.token_id, again, WRITE, in_time())
        assert enrol(facts, elsewhere, again).mesh_ip == "10.43.0.1"

    @pytest.mark.parametrize(
        ("wanted", "error"),
        [
            (enrolment(2, project_id=node_id(1)), ProjectMismatch),
            (enrolment(2, resource_handle="press-3"), ResourceNotFound),
            (enrolment(2, public_key=key_bytes(1)), PublicKeyRegistered),
        ],
        ids=["project", "handle", "public key"],
    )
    def test_a_refusal_consumes_neither_the_token_nor_the_nonce(
        self, facts: BootstrapTokenFacts, wanted: Enrolment, error: type[ComposerError]
    ) -> None:
        enrol(facts, issue(facts), enrolment(1))
        token = issue(facts, wanted=replace(WANTED, resource_handle="press-2"))
        with pytest.raises(error):
            enrol(facts, token, wanted)
        assert enrol(facts, token, enrolment(2)).mesh_ip == "10.42.0.2"

    def test_a_token_ends_with_its_time(self, facts: BootstrapTokenFacts) -> None:
        token = issue(facts)
        facts.time_passes(WANTED.lifetime + timedelta(seconds=1))
        with pytest.raises(TokenExpired):
            enrol(facts, token, enrolment(1))

    def test_a_domain_with_as_many_nodes_as_it_may_have_consumes_nothing(
        self, facts: BootstrapTokenFacts
    ) -> None:
        for number in range(NODE_QUOTA):
            enrol(facts, issue(facts), enrolment(number))
        token = issue(facts)
        for _ in range(2):
            with pytest.raises(NodeQuotaExceeded):
                enrol(facts, token, enrolment(NODE_QUOTA))

    def test_a_full_domain_consumes_nothing(self, facts: BootstrapTokenFacts) -> None:
        for number in (1, 2):
            enrol(facts, issue(facts, SMALL), enrolment(number))
        token = issue(facts, SMALL)
        for _ in range(2):
            with pytest.raises(PoolExhausted):
                enrol(facts, token, enrolment(3))

    def test_what_is_not_there_is_an_error(self, facts: BootstrapTokenFacts) -> None:
        with pytest.raises(DomainNotFound):
            issue(facts, node_id(1))
        with pytest.raises(BootstrapTokenInvalid):
            facts.tokens.find(node_id(1), in_time())
        with pytest.raises(BootstrapTokenInvalid):
            facts.tokens.enrol(node_id(1), enrolment(1), WRITE, in_time())

    def test_without_time_left_nothing_changes(self, facts: BootstrapTokenFacts) -> None:
        token = issue(facts)
        with pytest.raises(DatastoreUnavailable):
            facts.tokens.enrol(token.token_id, enrolment(1), WRITE, expired())
        enrol(facts, token, enrolment(1))

    def test_a_store_that_is_away_is_an_error(self, facts: BootstrapTokenFacts) -> None:
        token = issue(facts)
        facts.go_away()
        with pytest.raises(DatastoreUnavailable):
            issue(facts)
        with pytest.raises(DatastoreUnavailable):
            facts.tokens.find(token.token_id, in_time())
        with pytest.raises(DatastoreUnavailable):
            enrol(facts, token, enrolment(1))
