"""Pulls from a real streaming standby, held back on purpose, and what a failover leaves of it.

The primary and the standby are this module's own. The failover is the last test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from psycopg2.extensions import make_dsn, parse_dsn

from composer.errors import ComposerError, LedgerBehind
from composer.position import LedgerPosition
from db.ledger import LedgerMoment, PostgresLedger
from db.nodes import PostgresNodeRepo
from db.pool import read_pool
from db.positions import Positions, server_in, unchecked
from tests.integration.ledger_fixtures import OwnPostgres, own_postgres
from tests.integration.ledger_rows import Hand
from tests.ports.deadlines import in_time
from tests.standby import Copy
from tests.waiting import until


class Pair:
    """A primary and its standby, and a ledger that reads both as a host of the service does."""

    def __init__(self, primary: OwnPostgres, folder: Path) -> None:
        self.primary = primary
        self.dsn = primary.migrated_database()
        self.hand = Hand(self.dsn)
        self.domain = self.hand.domain()
        self.nodes = [self.hand.node(self.domain, number) for number in range(1, 7)]
        self.standby = Copy(primary.cluster, folder, follows=True)
        self.standby.part.start()
        self.positions = Positions()
        self.reads = read_pool(self.writer_dsn, 4, 5.0, check=self.positions.check)
        self.replica = read_pool(self.standby_dsn, 4, 5.0, check=unchecked)
        self.ledger = PostgresLedger(
            self.reads, cached_rows=1000, positions=self.positions, replica=self.replica
        )
        self.only_primary = PostgresLedger(self.reads, cached_rows=1000, positions=Positions())

    @property
    def standby_dsn(self) -> str:
        return self.standby.dsn_of(parse_dsn(self.dsn)["dbname"])

    @property
    def writer_dsn(self) -> str:
        """Of both servers: libpq takes the one that is no standby."""
        host, port = (parse_dsn(self.dsn)[part] for part in ("host", "port"))
        return str(
            make_dsn(
                self.dsn,
                host=f"{host},{host}",
                port=f"{port},{self.standby.port}",
                target_session_attrs="primary",
            )
        )

    def answer(
        self,
        node: UUID,
        presented: LedgerPosition | None = None,
        ledger: PostgresLedger | None = None,
    ) -> LedgerMoment:
        """The rows that a pull of the Node reads."""
        found = ledger or self.ledger
        moment = found.addressed(node, in_time(), presented)
        if moment is None:  # its Domain is read first
            found.view(node, self.domain, in_time())
            moment = found.addressed(node, in_time(), presented)
        assert moment is not None and moment.position is not None
        return moment

    def write(self, node: UUID, text: str) -> None:
        """Acknowledged by the primary."""
        self.hand.run("UPDATE plexsphere.nodes SET authz_token = %s WHERE id = %s", text, node)

    def follow(self) -> None:
        """The standby has all that was written."""
        self.standby.await_wal(self.hand.run("SELECT pg_current_wal_flush_lsn()")[0][0])


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with own_postgres() as primary:
        made = Pair(primary, primary.folder / "standby")
        yield made
        for pool in (made.reads, made.replica):
            pool.close()
        made.hand.close()
        made.standby.part.stop()


def test_a_standby_answers_what_it_has(pair: Pair) -> None:
    node = pair.nodes[0]
    pair.answer(pair.nodes[5])  # the primary: it says which standby is its own
    pair.follow()
    pair.standby.hold_back()
    pair.write(node, "unseen")
    try:
        assert pair.answer(node).authz_token is None
    finally:
        pair.standby.catch_up()


def test_no_node_goes_back_in_time(pair: Pair) -> None:
    node, other = pair.nodes[1], pair.nodes[2]
    pair.follow()
    pair.answer(other)
    pair.standby.hold_back()
    try:
        pair.write(node, "seen")
        seen = pair.answer(node, ledger=pair.only_primary).position
        assert pair.answer(node, seen).authz_token == "seen"
        assert pair.answer(node).authz_token == "seen"
        assert pair.answer(other).position != seen
    finally:
        pair.standby.catch_up()
    pair.follow()
    assert pair.answer(node).authz_token == "seen"


def test_what_was_revoked_does_not_come_back_with_a_standby_that_lags(pair: Pair) -> None:
    node = pair.nodes[4]
    pair.answer(node)
    pair.follow()
    pair.standby.hold_back()
    try:
        pair.write(node, "revoked")
        found = PostgresNodeRepo(pair.reads, pair.ledger).get_for_snapshot(node, in_time())
    finally:
        pair.standby.catch_up()
    assert isinstance(found.moment, LedgerMoment)
    assert (found.authz_token, found.moment.authz_token) == ("revoked", None)


def test_what_a_caller_presents_and_nobody_has_is_refused(pair: Pair) -> None:
    node = pair.nodes[3]
    position = pair.answer(node).position
    assert position is not None
    later = replace(position, none_from=position.none_from + 1_000_000)
    with pytest.raises(LedgerBehind):
        pair.answer(node, later)
    assert pair.answer(node, replace(later, system=position.system + 1)).node_id == node


def test_a_standby_that_cannot_say_what_it_lacks_does_not_answer(pair: Pair) -> None:
    node = pair.nodes[4]
    with closing(Hand(pair.dsn)) as open_hand, open_hand.cursor() as cursor:
        cursor.execute("BEGIN; UPDATE plexsphere.nodes SET name = 'x' WHERE id = %s", [str(node)])
        pair.write(pair.nodes[5], "written beside an open transaction")
        pair.follow()
        pair.standby.hold_back()
        try:
            pair.write(node := pair.nodes[0], "only on the primary")
            assert pair.answer(node).authz_token == "only on the primary"
        finally:
            pair.standby.catch_up()
            cursor.execute("ROLLBACK")


def test_an_older_copy_is_refused_and_accepted_on_purpose(pair: Pair) -> None:
    node = pair.nodes[0]
    copy = Copy(pair.primary.cluster, pair.primary.folder / "copy", follows=False)
    pair.write(node, "after the copy")
    remembered = Positions(pair.primary.folder / "positions")
    with ExitStack() as end:
        ledger = PostgresLedger(
            end.enter_context(closing(read_pool(pair.dsn, 2, 5.0, check=remembered.check))),
            cached_rows=100,
            positions=remembered,
        )
        ledger.view(node, pair.domain, in_time())
        copy.part.start()
        end.callback(copy.part.stop)
        dsn = copy.dsn_of(parse_dsn(pair.dsn)["dbname"])
        after_restart = Positions(pair.primary.folder / "positions")
        pool = end.enter_context(closing(read_pool(dsn, 2, 5.0, check=after_restart.check)))
        restored = PostgresLedger(pool, cached_rows=100, positions=after_restart)
        with pytest.raises(LedgerBehind, match="bytes before"):
            restored.view(node, pair.domain, in_time())
        end.enter_context(closing(unchecked := read_pool(dsn, 1, 5.0)))
        with unchecked.session(in_time()) as session:
            after_restart.accept(server_in(session))
        assert restored.view(node, pair.domain, in_time()).position is not None


def test_a_failover_that_lost_writes_is_noticed_after_a_restart_and_later_writes(
    pair: Pair,
) -> None:
    standby = Copy(pair.primary.cluster, pair.primary.folder / "lossy", follows=False)
    (standby.data / "standby.signal").touch()  # of nobody, so that it lacks what comes now
    pair.write(pair.nodes[0], "lost")
    remembered = Positions()
    with (
        closing(read_pool(pair.dsn, 1, 5.0, check=remembered.check)) as pool,
        pool.session(in_time()),
    ):
        pass
    with ExitStack() as end:
        standby.part.start()
        end.callback(standby.part.stop)
        standby.promote()
        standby.run("SELECT pg_switch_wal()")
        standby.part.restart()
        dsn = standby.dsn_of(parse_dsn(pair.dsn)["dbname"])
        pool = end.enter_context(closing(read_pool(dsn, 1, 5.0, check=remembered.check)))
        with pytest.raises(LedgerBehind, match="bytes before"), pool.session(in_time()):
            pass


def test_after_a_failover_the_standby_answers_and_nothing_is_older(pair: Pair) -> None:
    node = pair.nodes[1]
    pair.write(node, "before the failover")
    seen = pair.answer(node).position
    assert seen is not None
    pair.follow()
    pair.primary.part.stop()
    pair.standby.promote()

    def answered() -> LedgerMoment | None:
        try:
            return pair.answer(node, seen)
        except ComposerError:
            return None

    until(lambda: answered() is not None, "the new primary to answer")
    moment = pair.answer(node)
    assert moment.authz_token == "before the failover" and moment.position is not None
    assert (moment.position.system, moment.position.timeline) == (seen.system, seen.timeline + 1)
    pair.primary.part.start()
    before = read_pool(pair.dsn, 1, 5.0, check=pair.positions.check)
    with (
        closing(before),
        pytest.raises(LedgerBehind, match="timeline 1"),
        before.session(in_time()),
    ):
        pass
