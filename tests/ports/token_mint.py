"""The promises of every TokenMint (``composer.node_token.TokenMint``)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol

import pytest

from composer.errors import SigningUnavailable
from composer.node_token import TokenMint
from tests.factories import node_id

NODE = node_id(1)
A_DAY = timedelta(hours=24)


class MintFacts(Protocol):
    """A mint on a clock that a test moves, and the service that has to accept what it makes."""

    mint: TokenMint

    def now(self) -> datetime: ...

    def wait(self, time: timedelta) -> None:
        """Let time pass."""
        ...

    def subject(self, text: str) -> str | None:
        """The subject of a token that is accepted now, as ``kind:id``; None where it is refused."""
        ...

    def lose_key(self) -> None:
        """From now on there is no key, and there never was one."""
        ...


class TokenMintSuite:
    """Override ``facts``."""

    @pytest.fixture
    def facts(self) -> MintFacts:
        raise NotImplementedError

    def test_a_token_is_the_nodes_from_the_moment_it_is_minted(self, facts: MintFacts) -> None:
        minted = facts.mint.mint(NODE, None)
        assert facts.subject(minted.token) == f"node:{NODE}"

    def test_each_node_gets_a_token_of_its_own(self, facts: MintFacts) -> None:
        texts = [facts.mint.mint(node_id(number), None).token for number in (1, 2)]
        assert [facts.subject(text) for text in texts] == [f"node:{node_id(n)}" for n in (1, 2)]

    def test_a_token_lasts_24_hours_and_says_until_when_in_utc(self, facts: MintFacts) -> None:
        minted = facts.mint.mint(NODE, None)
        assert minted.expires_at.tzinfo == UTC
        assert timedelta(0) <= facts.now() + A_DAY - minted.expires_at < timedelta(seconds=1)

    def test_a_token_is_nobodys_a_minute_after_it_expired(self, facts: MintFacts) -> None:
        text = facts.mint.mint(NODE, None).token
        facts.wait(A_DAY - timedelta(seconds=2))
        assert facts.subject(text) == f"node:{NODE}"
        facts.wait(timedelta(seconds=62))  # past any leeway
        assert facts.subject(text) is None

    def test_no_two_tokens_are_equal_though_minted_at_the_same_moment(
        self, facts: MintFacts
    ) -> None:
        assert len({facts.mint.mint(NODE, None).token for _ in range(10)}) == 10

    def test_a_token_does_not_show_where_it_is_printed(self, facts: MintFacts) -> None:
        minted = facts.mint.mint(NODE, None)
        assert minted.token not in repr(minted) and minted.token not in f"{minted}"

    def test_without_a_key_it_says_so(self, facts: MintFacts) -> None:
        facts.lose_key()
        with pytest.raises(SigningUnavailable):
            facts.mint.mint(NODE, None)
