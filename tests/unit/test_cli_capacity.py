"""The lines of doctor about connections, poolers, descriptors and rows made by hand."""

from __future__ import annotations

import pytest

from db.health import DuplicateNodes
from server.cli.capacity import (
    connections_check,
    descriptors_check,
    duplicates_check,
    pooler_check,
)
from server.settings import Settings

SETTINGS = Settings(workers=2, connections=1_000)


def test_postgres_must_grant_what_an_instance_may_open() -> None:
    needed = 2 * SETTINGS.shared_threads.connections + 8
    few = connections_check(SETTINGS, needed - 1)
    assert connections_check(SETTINGS, needed).ok and not few.ok
    assert str(needed) in few.detail and "plexsphere-state settings" in few.detail


@pytest.mark.parametrize(("is_pooled", "ok"), [(False, True), (True, False)])
def test_a_pooler_in_transaction_mode_is_bad(is_pooled: bool, ok: bool) -> None:
    assert pooler_check(is_pooled).ok is ok


def test_a_pooler_that_ignores_our_parameters_is_bad() -> None:
    check = pooler_check(False, keeps_parameters=False)
    assert (check.ok, "ignore_startup_parameters" in check.remedy) == (False, True)


@pytest.mark.parametrize(("limit", "ok"), [(755, False), (756, True), (1_256, True), (-1, True)])
def test_a_process_must_be_allowed_a_file_for_half_of_its_clients(limit: int, ok: bool) -> None:
    assert descriptors_check(SETTINGS, limit).ok is ok


def test_duplicate_rows_are_named_with_the_command_that_shows_them() -> None:
    check = duplicates_check([DuplicateNodes("mesh_ip", "d", 2, "a", "b")])
    assert "2 Nodes of Domain d have one mesh_ip, a and b" in check.detail
    assert "plexsphere-state snapshot a --explain" in check.remedy
    assert duplicates_check([]).ok
