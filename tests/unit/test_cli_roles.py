"""What ``grant`` and ``revoke`` say of a change that is recorded and not in force."""

from __future__ import annotations

from composer.errors import AuthzUnavailable
from server.cli.roles import not_in_force


def test_a_row_in_another_hand_does_not_make_spicedb_one_that_is_away() -> None:
    said = not_in_force(True, AuthzUnavailable("another drainer holds the object"))
    assert said == (
        "recorded; SpiceDB does not have it yet (another drainer holds the object): "
        "the relay will grant it."
    )


def test_a_role_that_is_to_go_is_said_to_hold_until_then() -> None:
    said = not_in_force(False, AuthzUnavailable("SpiceDB: UNAVAILABLE"))
    assert said.endswith("(SpiceDB: UNAVAILABLE): the role holds until the relay revokes it.")
