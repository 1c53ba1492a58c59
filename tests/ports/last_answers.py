"""The promises of every LastAnswers that is enabled (``composer.last_answers.LastAnswers``)."""

from __future__ import annotations

import pytest

from composer.identity import AddressedNode
from composer.last_answers import KeptBlock, LastAnswers
from tests.factories import DOMAIN, node_id

DIGESTS = (bytes([1]) * 32, bytes([2]) * 32)
NODE = AddressedNode(node_id(1), DOMAIN, None, secret_key_digests=DIGESTS)
BLOCKS = (KeptBlock("peers", b'[{"a":1},{"b":2}]', (1, 9)), KeptBlock("policy", b"null"))


class LastAnswersSuite:
    """Override ``kept`` with a fixture that keeps nothing yet."""

    @pytest.fixture
    def kept(self) -> LastAnswers:
        raise NotImplementedError

    def test_an_answer_is_kept_whole(self, kept: LastAnswers) -> None:
        assert kept.is_enabled
        kept.keep(NODE, "ab" * 32, BLOCKS)
        found = kept.of_node(NODE.id)
        assert found is not None and found.age >= 0
        assert (found.node, found.digest, found.blocks) == (NODE, "ab" * 32, BLOCKS)
        assert kept.digests_of(NODE.id) == DIGESTS

    def test_a_later_answer_takes_the_place_of_the_first(self, kept: LastAnswers) -> None:
        for digest in ("ab" * 32, "cd" * 32):
            kept.keep(NODE, digest, BLOCKS)
        found = kept.of_node(NODE.id)
        assert found is not None and found.digest == "cd" * 32

    def test_a_node_has_no_answer_of_another_and_none_that_was_forgotten(
        self, kept: LastAnswers
    ) -> None:
        kept.keep(NODE, "ab" * 32, BLOCKS)
        kept.forget(NODE.id)
        kept.forget(node_id(2))
        for number in (1, 2):
            assert (kept.of_node(node_id(number)), kept.digests_of(node_id(number))) == (None, ())
        kept.keep(NODE, "ab" * 32, BLOCKS)
        assert kept.of_node(NODE.id) is not None
