"""The order in which clients are agreed with on TLS, and who is left out."""

from __future__ import annotations

import ssl
from typing import Any

import pytest

from server.gunicorn.connection import State
from server.gunicorn.handshakes import STEPS_A_TURN, Handshakes


class Client:
    """As much of a connection as a handshake needs: its source, and whether it has left."""

    state = State.SHAKING_HANDS

    def __init__(self, source: str, has_left: bool = False) -> None:
        self.client = (source, 4000)
        self._has_left = has_left

    def has_left(self) -> bool:
        return self._has_left

    def shake_hands(self) -> bool:
        return True


@pytest.fixture
def agreed() -> list[Any]:
    return []


@pytest.fixture
def closed() -> list[Any]:
    return []


@pytest.fixture
def handshakes(agreed: list[Any], closed: list[Any]) -> Handshakes:
    return Handshakes(
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH),
        watch=lambda connection, mask: None,
        read=agreed.append,
        close=closed.append,
    )


def queue(handshakes: Handshakes, *clients: Any) -> list[Any]:
    for client in clients:
        handshakes.queue(client)
    return list(clients)


def test_a_turn_has_so_many_steps(handshakes: Handshakes, agreed: list[Any]) -> None:
    crowd = queue(handshakes, *(Client("192.0.2.1") for _ in range(STEPS_A_TURN + 1)))
    handshakes.step()
    assert (len(agreed), handshakes.has_more) == (STEPS_A_TURN, True)
    handshakes.step()
    assert (set(agreed), handshakes.has_more) == (set(crowd), False)


def test_a_source_waits_for_no_crowd_of_another(handshakes: Handshakes, agreed: list[Any]) -> None:
    queue(handshakes, *(Client("192.0.2.1") for _ in range(100)))
    (other,) = queue(handshakes, Client("192.0.2.2"))
    handshakes.step()
    assert other in agreed[:2]


def test_of_a_source_the_last_and_the_first_are_next(
    handshakes: Handshakes, agreed: list[Any]
) -> None:
    first, second, third = queue(handshakes, *(Client("192.0.2.1") for _ in range(3)))
    handshakes.step()
    assert agreed == [third, first, second]


def test_each_of_two_sources_has_its_last_and_its_first_next(
    handshakes: Handshakes, agreed: list[Any]
) -> None:
    one = queue(handshakes, *(Client("192.0.2.1") for _ in range(3)))
    two = queue(handshakes, *(Client("192.0.2.2") for _ in range(3)))
    handshakes.step()
    assert agreed == [one[2], two[2], one[0], two[0], one[1], two[1]]


def test_clients_that_have_left_take_no_step(
    handshakes: Handshakes, agreed: list[Any], closed: list[Any]
) -> None:
    gone = queue(handshakes, *(Client("192.0.2.1", has_left=True) for _ in range(100)))
    (client,) = queue(handshakes, Client("192.0.2.1"))
    handshakes.step()
    assert (agreed, set(closed)) == ([client], set(gone))
