"""A key set is kept current: rotation, outages, unknown kids; time passes only when told to."""

import os
import threading
from pathlib import Path

from server.authn.kept_keys import kept
from server.authn.key_documents import MAX_BYTES
from server.authn.keys import NO_KEYS
from tests.key_sources import NEW, OLD, Source, wait_for
from tests.tokens import jwks


def test_nothing_is_read_before_the_first_request() -> None:
    source = Source(OLD)
    assert source.document.reads == 0
    assert source.kids() == {"old"}
    assert source.document.reads == 1


def test_a_set_is_read_again_after_the_interval_and_not_before() -> None:
    source = Source(OLD)
    assert source.kids() == {"old"}
    source.document.content = jwks(NEW)
    source.clock.now += 299.9
    assert source.kids() == {"old"}
    assert source.document.reads == 1
    source.clock.now += 0.1
    assert source.kids() == {"new"}
    assert source.document.reads == 2


def test_an_unchanged_set_stays_the_same_object() -> None:
    """Tokens verified against it stay verified."""
    source = Source(OLD)
    before = source.keys.current()
    source.clock.now += 300
    assert source.keys.current() is before
    assert source.document.reads == 2


def test_a_kept_set_is_as_old_as_its_last_confirmation(tmp_path: Path) -> None:
    kept_in = tmp_path / "jwks.json"
    source = Source(OLD, kept_in=kept_in)
    source.kids()
    os.utime(kept_in, (0, 0))
    source.clock.now += 300
    source.kids()
    content, age = kept(kept_in, MAX_BYTES)
    assert (content, age < 3600) == (jwks(OLD), True)


def test_a_new_kid_is_found_at_once_after_a_rotation() -> None:
    source = Source(OLD)
    assert source.kids() == {"old"}
    source.document.content = jwks(OLD, NEW)
    assert source.search("new") == {"old", "new"}


def test_unknown_kids_cause_at_most_one_refresh_an_interval() -> None:
    source = Source(OLD)
    assert source.kids() == {"old"}
    for attempt in range(50):
        assert source.search(f"forged-{attempt}") == {"old"}
    assert source.document.reads == 2
    source.clock.now += 9.9
    source.search("forged")
    assert source.document.reads == 2
    source.clock.now += 0.1
    source.search("forged")
    source.search("forged")
    assert source.document.reads == 3


def test_a_known_kid_causes_no_refresh() -> None:
    source = Source(OLD)
    source.kids()
    assert source.search("old") == {"old"}
    assert source.document.reads == 1


def test_an_outage_keeps_the_old_set_and_is_reported_once_a_minute() -> None:
    source = Source(OLD)
    source.kids()
    source.document.content = None
    for _ in range(31):  # five minutes until the first attempt, then 300 s of failures
        source.clock.now += 10 if source.document.reads > 1 else 300
        assert source.kids() == {"old"}
    assert source.document.reads == 32
    assert source.warnings == ["the key set could not be refreshed: status 503"] * 6
    assert source.keys.describe() == (
        True,
        "1 keys, checked 600 s ago; last refresh failed: status 503",
    )
    source.document.content = jwks(NEW)
    source.clock.now += 10
    assert source.kids() == {"new"}
    assert source.keys.describe() == (True, "1 keys, checked 0 s ago")


def test_a_broken_set_replaces_nothing() -> None:
    source = Source(OLD)
    source.kids()
    for content in (b"", b"{", b'{"keys":[]}', b"<html>"):
        source.document.content = content
        source.clock.now += 300
        assert source.kids() == {"old"}


def test_a_source_without_any_set_tries_once_a_second() -> None:
    source = Source()
    for _ in range(20):
        assert source.keys.current() is NO_KEYS
        source.search("old")
    assert source.document.reads == 1
    assert source.keys.describe() == (False, "no keys: status 503")
    source.document.content = jwks(OLD)
    source.clock.now += 1
    assert source.kids() == {"old"}


def test_a_surprise_of_a_library_is_a_failed_refresh() -> None:
    source = Source(OLD)
    source.document.read = lambda: 1 // 0  # type: ignore[method-assign]
    assert source.keys.current() is NO_KEYS
    assert source.keys.describe() == (False, "no keys: ZeroDivisionError")


def test_a_refresh_in_the_background_delays_nobody_who_has_a_set() -> None:
    source = Source(OLD, in_background=True)
    assert source.kids() == {"old"}
    gate = source.document.hold()
    source.document.content = jwks(NEW)
    source.clock.now += 300
    assert source.kids() == {"old"}  # would hang were it to wait for the gate
    assert source.document.entered.wait(10)
    for _ in range(5):
        assert source.kids() == {"old"}
    assert source.document.reads == 2
    gate.set()
    wait_for(lambda: source.kids() == {"new"})


def test_a_hanging_search_for_a_kid_holds_nobody_for_long() -> None:
    source = Source(OLD, in_background=True)
    assert source.kids() == {"old"}
    gate = source.document.hold()
    assert source.search("forged") == {"old"}
    assert source.kids() == {"old"}
    assert source.document.reads == 2
    gate.set()


def test_one_refresh_at_most_runs_at_a_time() -> None:
    """Its deadline ends it; a second thread would wait for the same server."""
    source = Source(OLD, in_background=True)
    source.kids()
    gate = source.document.hold()
    source.clock.now += 300
    source.kids()
    assert source.document.entered.wait(10)
    reads = source.document.reads
    source.clock.now += 3_000
    assert source.kids() == {"old"}
    assert source.document.reads == reads
    gate.set()


def test_many_first_requests_load_once() -> None:
    source = Source(OLD, in_background=True)
    found: list[set[str]] = []
    threads = [threading.Thread(target=lambda: found.append(source.kids())) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert found == [{"old"}] * 16
    assert source.document.reads == 1


def test_a_forked_worker_is_not_kept_waiting_by_a_refresh_of_its_parent() -> None:
    source = Source(OLD, in_background=True)
    source.kids()
    gate = source.document.hold()
    source.clock.now += 300
    source.kids()
    assert source.document.entered.wait(10)
    source.document.gate = None
    source.keys._pid = os.getppid()  # as if this were the child
    source.document.content = jwks(NEW)
    source.clock.now += 10
    source.kids()
    wait_for(lambda: source.kids() == {"new"})
    gate.set()
