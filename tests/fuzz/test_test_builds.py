"""A test build that does not start says so itself, not through the first request to it."""

from __future__ import annotations

import pytest

from server.dev.process import StackError
from server.dev.stack import Stack
from tests.stacks import another_build


def test_a_build_whose_worker_does_not_come_up_is_named_with_its_last_words(stack: Stack) -> None:
    """Its port listens meanwhile, and resets whoever connects when it is given up."""
    with (
        pytest.raises(StackError, match=r"(?s)stillborn ended with .*No module named 'stillborn'"),
        another_build(stack, "stillborn", "stillborn:application", {"PLEXSPHERE_WORKERS": "1"}),
    ):
        pass
