"""Each ticket lets one thread go on, and none is lost."""

from __future__ import annotations

import threading
from queue import SimpleQueue

from server.gunicorn.tickets import Tickets


def test_tickets_that_nobody_waits_for_are_kept() -> None:
    tickets = Tickets()
    for _ in range(2):
        tickets.put()
    for _ in range(2):
        tickets.take()
    assert not tickets._left


def test_a_ticket_wakes_the_thread_that_began_to_wait_last_and_no_other() -> None:
    tickets, woken = Tickets(), SimpleQueue[int]()

    def wait(number: int) -> None:
        tickets.take()
        woken.put(number)

    for number in range(3):
        threading.Thread(target=wait, args=(number,), daemon=True).start()
        while len(tickets._waiting) <= number:
            pass
    for expected in (2, 1, 0):
        tickets.put()
        assert woken.get(timeout=10) == expected
        assert woken.empty() and len(tickets._waiting) == expected
