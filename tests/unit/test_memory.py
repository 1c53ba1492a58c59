"""Memory keeps what was used lately, within its limit."""

from __future__ import annotations

from composer.memory import ENTRY_BYTES, Memory

SIZE = 300
ENTRY = SIZE + ENTRY_BYTES


def test_a_value_is_found_again_under_its_key() -> None:
    memory: Memory[str] = Memory(10_000)
    memory.put("key", "value", SIZE)
    assert memory.get("key") == "value"
    assert memory.get("another") is None


def test_there_are_never_more_values_than_the_limit_has_room_for() -> None:
    memory: Memory[int] = Memory(10 * ENTRY)
    for number in range(1_000):
        memory.put(number, number, SIZE)
        assert len(memory) <= 10
    assert memory.get(999) == 999
    assert memory.get(0) is None


def test_a_value_that_is_used_stays_while_others_come_and_go() -> None:
    memory: Memory[int] = Memory(10 * ENTRY)
    memory.put("used", -1, SIZE)
    for number in range(1_000):
        memory.put(number, number, SIZE)
        assert memory.get("used") == -1


def test_a_value_of_half_the_limit_is_not_kept() -> None:
    memory: Memory[str] = Memory(10 * ENTRY)
    memory.put("small", "s", SIZE)
    memory.put("large", "l", 5 * ENTRY)
    assert (memory.get("large"), memory.get("small")) == (None, "s")


def test_a_source_lives_as_long_as_its_value() -> None:
    """So that its id names it alone."""
    memory: Memory[str] = Memory(10_000)
    source = [1]
    taken = id(source)
    memory.put(taken, "value", SIZE, source=source)
    del source
    assert all(id([number]) != taken for number in range(1_000))
    assert memory.get(taken) == "value"
