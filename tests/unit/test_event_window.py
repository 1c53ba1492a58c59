"""The events that the window keeps, and the positions from which it can be resumed."""

from __future__ import annotations

from server.events.window import Window
from tests.events import NOW, OTHER_DOMAIN, event
from tests.factories import DOMAIN
from tests.fakes import FakeClock


def sequences(window: Window, position: int) -> list[int]:
    return [event.sequence for event in window.after(position, DOMAIN)]


def test_events_of_the_domain_come_strictly_after_the_position_and_in_order() -> None:
    window = Window(60, clock=FakeClock(NOW))
    window.restart(10)
    for number in (11, 12, 14, 15):
        window.add(event(number, domain_id=OTHER_DOMAIN if number == 12 else DOMAIN))
    assert sequences(window, 10) == [11, 14, 15]
    assert sequences(window, 14) == [15]
    assert sequences(window, 15) == []


def test_a_position_is_covered_from_the_floor_to_the_last_event() -> None:
    window = Window(60, clock=FakeClock(NOW))
    window.restart(10)
    window.add(event(11))
    assert [window.covers(position, DOMAIN) for position in (9, 10, 11, 12)] == [
        *(False, True, True, False)
    ]


def test_an_event_leaves_with_its_age_also_where_none_follows() -> None:
    clock = FakeClock(NOW)
    window = Window(60, clock=clock)
    window.restart(10)
    window.add(event(11))
    window.add(event(12, published=NOW + 30))
    clock.now += 61
    assert (window.covers(10, DOMAIN), window.covers(11, DOMAIN)) == (False, True)
    assert sequences(window, 0) == [12]


def test_the_oldest_events_leave_where_there_is_no_room() -> None:
    size = len(event(11).frame)
    window = Window(60, max_bytes=2 * size, clock=FakeClock(NOW))
    window.restart(10)
    for number in (11, 12, 13):
        window.add(event(number))
    assert (sequences(window, 0), window.floor) == ([12, 13], 11)


def test_a_skipped_event_breaks_off_its_own_domain_alone() -> None:
    window = Window(60, clock=FakeClock(NOW))
    window.restart(10)
    window.skip(11, DOMAIN)
    assert window.last == 11
    assert (window.covers(10, DOMAIN), window.covers(11, DOMAIN)) == (False, True)
    assert window.covers(10, OTHER_DOMAIN)
