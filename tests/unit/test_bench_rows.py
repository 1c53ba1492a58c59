"""The figures that the bench makes of what it has measured, and a herd that is answered."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from tests.bench.herd import ask_all
from tests.bench.plots import draw_costs
from tests.bench.rows import of_storm
from tests.bench.soak import faults

ANSWER = b"HTTP/1.1 %d OK\r\nContent-Length: 3\r\n\r\nabc"
SOUND = {"refused": 0, "right": 1.0, "worker_mb": 100.0, "worker_ms": 1.0}


def served(listener: socket.socket, statuses: list[int]) -> None:
    """One answer for each connection; 0 closes it without one, in two pieces otherwise."""
    for status in statuses:
        connection, _ = listener.accept()
        with connection:
            connection.recv(1_000)
            if status:
                answer = ANSWER % status
                connection.sendall(answer[:20])
                connection.sendall(answer[20:])


def test_each_of_a_herd_has_its_status_and_a_connection_that_ends_early_is_broken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=served, args=(listener, [200, 503, 0, 200])).start()
        found = ask_all(listener.getsockname(), [b"GET / HTTP/1.1\r\n\r\n"] * 4, 10)
    assert found["statuses"] == {"200": 2, "503": 1, "broken": 1}
    assert 0 <= found["half_s"] <= found["last_s"]


def test_who_is_not_answered_in_time_is_told_apart() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        found = ask_all(listener.getsockname(), [b"GET / HTTP/1.1\r\n\r\n"], 0.01)
    assert found == {"statuses": {"no answer": 1}, "half_s": None, "last_s": None}


@pytest.mark.parametrize(
    ("statuses", "refused", "ratio"),
    [({"200": 9}, 0, 0.5), ({"200": 8, "503": 1}, 0, None), ({"200": 9}, 1, None)],
)
def test_a_storm_with_a_request_that_was_refused_has_no_ratio(
    statuses: dict[str, int], refused: int, ratio: float | None
) -> None:
    found = {"statuses": statuses, "last_s": 15.0, "refused_beside": refused}
    assert of_storm(found, 9)["ratio"] == ratio


@pytest.mark.parametrize(
    ("last", "complaint"),
    [
        ({}, []),
        ({"worker_mb": 111.0}, ["memory has grown to 1.11 of what it was"]),
        ({"worker_ms": 2.0}, ["a pull costs 2.00 of what it did"]),
        ({"refused": 1}, ["an answer was not 200"]),
        ({"right": 0.99}, ["an answer was not 200"]),
    ],
)
def test_a_soak_complains_of_what_became_worse(
    last: dict[str, float], complaint: list[str]
) -> None:
    assert faults([SOUND, SOUND, SOUND | last]) == complaint


def test_a_plot_has_a_bar_for_each_side_and_nothing_to_draw_is_no_plot(tmp_path: Path) -> None:
    cost = {"worker_ms": 1.0, "spicedb_ms": 0.5, "postgres_ms": 0.2}
    file = tmp_path / "bench.svg"
    assert not draw_costs({"10": {"now": {"bytes": 1}}}, "title", file)
    assert draw_costs({"1": {"now": cost, "floor": {"worker_ms": 0.4}}}, "title", file)
    text = file.read_text()
    assert "1 (floor)" in text and "SpiceDB" in text
