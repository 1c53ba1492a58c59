"""The sentence of ``grant`` and ``revoke`` for a change that is recorded and not in force."""

from __future__ import annotations

from composer.errors import AuthzUnavailable
from server.cli.roles import not_in_force


def test_a_row_locked_by_another_session_is_named_as_the_reason() -> None:
    sentence = not_in_force(True, AuthzUnavailable("another drainer holds the object"))
    assert sentence == (
        "recorded; SpiceDB does not have it yet (another drainer holds the object): "
        "the relay will grant it."
    )


def test_a_role_holds_until_the_relay_revokes_it() -> None:
    sentence = not_in_force(False, AuthzUnavailable("SpiceDB: UNAVAILABLE"))
    assert sentence.endswith("(SpiceDB: UNAVAILABLE): the role holds until the relay revokes it.")
