"""The last answer of a Node is sent again while Postgres is away, and only to whom it may be."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from composer.errors import (
    AuthzUnavailable,
    DatastoreBusy,
    DatastoreUnavailable,
    NodeNotFound,
)
from composer.identity import AddressedNode
from composer.last_answers import KeptBlock
from server.http.last_answers import (
    SHARED_BYTES,
    SHARED_KEPT,
    SHARED_TOUCHES,
    FileLastAnswers,
)
from server.telemetry.metrics import Metrics
from tests.factories import DOMAIN, addressed, agent_of, node_id
from tests.fakes import FakeClock, FakeLastAnswers
from tests.ports.in_process import FakeService
from tests.ports.last_answers import LastAnswersSuite

STALE = "X-Plexsphere-Stale-Seconds"
AWAY = DatastoreUnavailable("away")


def in_an_outage(change: Callable[[FakeService], object] = lambda service: None) -> FakeService:
    """A service that has answered the first Node, and then lost the ledger."""
    service = FakeService()
    assert service.pull().status_code == 200
    change(service)
    service.nodes.fails = AWAY
    return service


def outcomes(service: FakeService) -> list[str]:
    return [row.outcome for row in service.audit.rows]


def test_the_last_answer_says_how_old_it_is_and_has_its_own_outcome() -> None:
    service = FakeService()
    first = service.pull()
    service.nodes.fails = AWAY
    again = service.pull()
    assert (again.status_code, again.data) == (200, first.data)
    assert (again.headers[STALE], STALE in first.headers) == ("42", False)
    assert again.headers["ETag"] == first.headers["ETag"]
    assert outcomes(service) == ["granted", "granted_stale"]
    assert service.last_answers.sent == [node_id(1)]


def test_a_node_that_has_the_last_answer_gets_a_304_with_the_age() -> None:
    service = in_an_outage()
    tag = f'W/"{service.last_answers.kept[node_id(1)].digest}"'
    again = service.pull(headers={"If-None-Match": tag})
    assert (again.status_code, again.headers[STALE]) == (304, "42")


def test_a_ledger_that_goes_after_gate_3_is_answered_for_too() -> None:
    service = FakeService()
    service.pull()
    service.ledger.fails = AWAY
    assert service.pull().headers[STALE] == "42"


def test_a_ledger_that_answers_and_cannot_do_the_work_is_a_503() -> None:
    service = FakeService()
    service.pull()
    service.ledger.fails = DatastoreBusy("out of memory")
    assert service.pull().status_code == 503


def test_the_answer_to_a_reader_is_not_kept_for_the_agent() -> None:
    service = FakeService()
    assert service.ask(f"/v1/nodes/{node_id(1)}/snapshot", 1).status_code == 200
    service.nodes.fails = AWAY
    assert service.pull().status_code == 503


def test_a_node_without_a_kept_answer_is_refused() -> None:
    assert in_an_outage().pull(2, who=2).status_code == 503


@pytest.mark.parametrize(
    "change",
    [
        lambda service: service.ask(f"/v1/nodes/{node_id(1)}", 1, method="DELETE"),
        lambda service: service.ask(f"/v1/nodes/{node_id(1)}/secret-key", 1, method="POST"),
        lambda service: service.ask(f"/v1/nodes/{node_id(1)}/credentials", 1, method="DELETE"),
    ],
    ids=["deregistered", "secret key rotated", "credentials revoked"],
)
def test_a_change_of_the_node_ends_its_last_answer(change: Callable[[FakeService], object]) -> None:
    assert in_an_outage(change).pull().status_code == 503


def test_a_node_that_is_gone_has_no_last_answer() -> None:
    def gone(service: FakeService) -> None:
        service.nodes.fails = NodeNotFound("gone")
        assert service.pull().status_code == 404

    assert in_an_outage(gone).pull().status_code == 503


def test_spicedb_decides_about_the_last_answer_and_by_its_newest_state() -> None:
    service = in_an_outage()
    service.relations.fails_at_least = AuthzUnavailable("away")
    assert service.pull().json["code"] == "authz_unavailable"
    service.relations.fails_at_least = None
    mine = (agent_of(1).subject, "node-agent", f"node:{node_id(1)}")
    service.relations.revoked_at_least = {mine}
    assert service.pull().status_code == 403
    service.relations.revoked_at_least = set()
    assert service.pull().status_code == 503  # the refusal has ended the answer


def test_a_credential_that_the_kept_row_does_not_cover_is_a_401() -> None:
    service = in_an_outage()
    kept = service.last_answers.kept[node_id(1)]
    ended = replace(kept.node, tokens_not_before=datetime(9999, 1, 1, tzinfo=UTC))
    service.last_answers.kept[node_id(1)] = replace(kept, node=ended)
    assert service.pull().status_code == 401


def test_no_other_operation_is_answered_without_the_ledger() -> None:
    service = in_an_outage()
    assert service.ask(f"/v1/nodes/{node_id(1)}/reachability", 1).status_code == 503


# The files


NODE = replace(
    addressed(1),
    secret_key_digests=(b"1" * 32,),
    tokens_not_before=datetime(2026, 11, 23, 8, 0, 0, 5, tzinfo=UTC),
)
PEERS = b"[" + b" " * SHARED_BYTES + b"]"
BLOCKS = (
    KeptBlock("peers", PEERS, (1, 3)),
    KeptBlock("reachability", b'{"last_heartbeat_at":"first"}'),
    KeptBlock("policy", b"null"),
)
TTL = 300.0


def answers(
    folder: Path, clock: FakeClock | None = None, max_bytes: int = 2**24
) -> FileLastAnswers:
    return FileLastAnswers(folder, TTL, max_bytes, Metrics(), clock or FakeClock())


class TestFileLastAnswers(LastAnswersSuite):
    @pytest.fixture
    def kept(self, tmp_path: Path) -> FileLastAnswers:
        return answers(tmp_path)


class TestFakeLastAnswers(LastAnswersSuite):
    @pytest.fixture
    def kept(self) -> FakeLastAnswers:
        return FakeLastAnswers()


def node(number: int) -> AddressedNode:
    return AddressedNode(node_id(number), DOMAIN, None)


def test_another_worker_has_what_one_has_kept(tmp_path: Path) -> None:
    answers(tmp_path).keep(NODE, "ab", BLOCKS)
    kept = answers(tmp_path).of_node(NODE.id)
    assert kept is not None
    assert (kept.node, kept.digest, kept.blocks, kept.age) == (NODE, "ab", BLOCKS, 0.0)
    next(tmp_path.glob("shared-*")).unlink()
    assert answers(tmp_path).digests_of(NODE.id) == NODE.secret_key_digests
    assert answers(tmp_path).of_node(NODE.id) is None
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o600}


def test_the_times_of_heartbeats_are_those_of_the_last_answer_of_any_worker(
    tmp_path: Path,
) -> None:
    workers = [answers(tmp_path), answers(tmp_path)]
    for number in range(5):
        later = KeptBlock("reachability", b'{"last_heartbeat_at":"%d"}' % (number // 2))
        blocks = (BLOCKS[0], later, BLOCKS[2])
        workers[number % 2].keep(NODE, "ab", blocks)
        kept = answers(tmp_path).of_node(NODE.id)
        assert kept is not None and kept.blocks == blocks


def test_the_age_counts_from_the_last_answer_and_ends_it(tmp_path: Path) -> None:
    clock = FakeClock()
    kept = answers(tmp_path, clock)
    for _ in range(2):
        kept.keep(NODE, "ab", BLOCKS)
        clock.now += TTL
    found = kept.of_node(NODE.id)
    assert found is not None and found.age == TTL
    clock.now += 1
    assert kept.of_node(NODE.id) is None


def test_an_answer_has_no_age_where_the_clock_was_set_back_and_is_not_sent(tmp_path: Path) -> None:
    clock = FakeClock()
    kept = answers(tmp_path, clock)
    kept.keep(NODE, "ab", BLOCKS)
    clock.now -= 1
    found = kept.of_node(NODE.id)
    assert found is not None and found.age == 0
    clock.now -= 60
    assert (kept.of_node(NODE.id), kept.digests_of(NODE.id)) == (None, ())


def test_the_same_answer_again_only_gives_its_files_a_new_time(tmp_path: Path) -> None:
    """The shared one seldom, but long before a sweep would take it for too old."""
    clock = FakeClock()
    kept = answers(tmp_path, clock)
    kept.keep(NODE, "ab", BLOCKS)
    own, shared = tmp_path / str(NODE.id), next(tmp_path.glob("shared-*"))
    first, inodes = clock.now, (own.stat().st_ino, shared.stat().st_ino)
    clock.now += 1
    kept.keep(NODE, "ab", BLOCKS)
    assert [round(file.stat().st_mtime - first) for file in (own, shared)] == [1, 0]
    clock.now += TTL / 10
    kept.keep(NODE, "ab", BLOCKS)
    assert [round(file.stat().st_mtime - first) for file in (own, shared)] == [31, 31]
    assert inodes == (own.stat().st_ino, shared.stat().st_ino)


def test_the_peers_of_a_domain_that_pulls_are_known_while_others_come_and_go(
    tmp_path: Path,
) -> None:
    clock = FakeClock()
    kept = answers(tmp_path, clock)
    for number in range(SHARED_KEPT):
        kept.keep(NODE, "ab", BLOCKS)
        kept.keep(replace(NODE, domain_id=node_id(number)), "ab", BLOCKS)
        clock.now += TTL / SHARED_TOUCHES
    assert (NODE.domain_id, "peers") in kept._shared


def test_the_peers_of_a_domain_are_kept_once(tmp_path: Path) -> None:
    kept = answers(tmp_path)
    for number in (1, 2, 3):
        kept.keep(node(number), "ab", BLOCKS)
    assert len(list(tmp_path.iterdir())) == 4


def test_an_answer_that_comes_back_replaces_what_another_worker_kept_meanwhile(
    tmp_path: Path,
) -> None:
    first, second = answers(tmp_path), answers(tmp_path)
    for worker, digest in ((first, "ab"), (second, "cd"), (first, "ab")):
        worker.keep(NODE, digest, BLOCKS)
    kept = second.of_node(NODE.id)
    assert kept is not None and kept.digest == "ab"


@pytest.mark.parametrize(
    "fault",
    ["torn", "a torn block", "readable by others", "a link", "another Node's", "no peers"],
)
def test_a_file_that_is_not_whole_or_not_ours_alone_is_not_used(tmp_path: Path, fault: str) -> None:
    kept = answers(tmp_path)
    kept.keep(NODE, "ab", BLOCKS)
    path = tmp_path / str(NODE.id)
    if fault == "torn":
        path.write_bytes(path.read_bytes()[:-9])
    elif fault == "a torn block":
        path.write_bytes(path.read_bytes().replace(b"first", b"other"))
    elif fault == "readable by others":
        path.chmod(0o644)
    elif fault == "a link":
        path.rename(tmp_path / "other")
        path.symlink_to(tmp_path / "other")
    elif fault == "another Node's":
        os.replace(path, tmp_path / str(node_id(2)))
        assert kept.of_node(node_id(2)) is None
    else:
        next(tmp_path.glob("shared-*")).unlink()
    assert kept.of_node(NODE.id) is None


def test_the_oldest_answers_go_where_there_are_too_many_bytes(tmp_path: Path) -> None:
    clock = FakeClock()
    kept = answers(tmp_path, clock, max_bytes=40_000)
    for number in range(1, 30):
        clock.now += 1
        kept.keep(node(number), "ab", (KeptBlock("policy", b"x" * 4_000),))
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 45_000
    assert (kept.of_node(node_id(1)), kept.of_node(node_id(29)) is None) == (None, False)


def test_a_folder_that_is_gone_changes_no_answer(tmp_path: Path) -> None:
    kept = answers(tmp_path / "gone")
    kept.keep(NODE, "ab", BLOCKS)
    assert kept.of_node(NODE.id) is None
    kept.forget(NODE.id)
