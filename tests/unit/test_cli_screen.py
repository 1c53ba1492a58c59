"""Tables and lines on a screen: nothing is cut silently, control characters are escaped."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import Any

import pytest
from rich.console import Console
from rich.text import Text

from server.cli import screen, snapshot
from server.cli.differences import OVER_TIME, TWO_NODES, differences, render
from server.cli.formats import counted, printable, shortened, timestamp_with_age
from server.cli.screen import Screen, table, write_json
from tests.unit.test_cli_differences import bridge_node, plain_node

NOW = datetime(2026, 11, 23, 8, 0, 30, tzinfo=UTC)
KEY = "ypeBEsobvcr6wjGzmiPcTaeG7/gUfE5yuYB3ha/uSLs="


def shown(capsys: pytest.CaptureFixture[str], parts: Any) -> str:
    """The text that arrives in a pipe."""
    Screen().print_all(parts)
    return capsys.readouterr().out


def on_terminal(monkeypatch: pytest.MonkeyPatch, width: int, parts: Any) -> str:
    """The text on a terminal of this width, without its colours."""
    out = io.StringIO()
    console = Console(file=out, force_terminal=True, width=width, no_color=True, highlight=False)
    monkeypatch.setattr(screen, "Console", lambda **settings: console)
    monkeypatch.setattr(screen.typer, "echo", lambda text="": print(text, file=out))
    Screen().print_all(parts)
    return Text.from_ansi(out.getvalue()).plain


def test_every_block_and_every_leaf_is_on_the_screen(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, snapshot.render(bridge_node(), 1000, NOW))
    for sentence in (
        KEY,
        "relay.example.net:51821",
        "2026-11-23T08:00:00.25Z (29 s ago)",
        "ZQOFs+/RKG+NulCzNdTmkAW5iR2UfKLEFtIkAMUNw+8=",
        "allow    tcp        10.0.0.0/8",
        "secret:project/0190b2c0/staff-vpn:3",
        '{"routes": ["10.42.0.0/16"], "split_tunnel": true}',
        "shop.example.com",
        "192.168.10.0/24,192.168.20.0/24",
        "Zürich",
        "the same value as state",
    ):
        assert sentence in text


def test_a_null_or_empty_block_has_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, snapshot.render(plain_node(), 1000, NOW))
    assert "policy  null: no compiled rule set matches this Node" in text
    assert "bridge  null: this Node hosts no bridge Resource" in text
    assert "last_heartbeat_at   never" in text
    assert '""' in text
    assert "state  no entries" in text


def test_reports_unlike_state_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    body = {**plain_node(), "reports": bridge_node()["reports"]}
    assert "reports  metadata 1, data 1, reports 1" in shown(
        capsys, snapshot.render(body, 1000, NOW)
    )


@pytest.mark.parametrize(("width", "narrow"), [(80, True), (140, False)])
def test_keys_are_shortened_only_where_there_is_no_room(
    monkeypatch: pytest.MonkeyPatch, width: int, narrow: bool
) -> None:
    text = on_terminal(monkeypatch, width, snapshot.render(bridge_node(), width, NOW))
    assert (KEY in text) is not narrow
    assert (shortened(KEY, True) in text) is narrow


NODE = "0190b2c4-8d5e-7a10-9c3f-5b6e7f8091a2"


@pytest.mark.parametrize("width", [40, 60, 80])
@pytest.mark.parametrize("rows", [1, screen.LARGE])
def test_a_table_without_room_becomes_paragraphs_in_which_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch, width: int, rows: int
) -> None:
    row = (NODE, "n" * 255, "", "dropped: it has no key")
    made = table("Nodes", ("id", "name", "stream", "why"), [row] * rows)
    text = on_terminal(monkeypatch, width, [made])
    assert max(map(len, text.splitlines())) <= width
    assert text.strip().splitlines()[:2] == ["Nodes", f"id       {NODE[: width - 9]}"]
    assert text.count("why      dropped: it has no key\n") == rows
    assert text.count("n" * (width - 9)) == rows * (255 // (width - 9))
    assert "…" not in text and "stream" not in text


def test_a_large_table_is_shown_on_a_terminal_too(monkeypatch: pytest.MonkeyPatch) -> None:
    rows = [(number, "x") for number in range(screen.LARGE)]
    text = on_terminal(monkeypatch, 80, [table("many", ("id", "value"), rows)])
    assert text.splitlines()[1:3] == ["many", "id    value"]
    assert text.splitlines()[-1] == "499   x"


HOSTILE = "\x1b]0;owned\x07\x1b[2J\r\n\u202e[bold red]x[/]"


def test_control_characters_of_a_value_are_escaped(capsys: pytest.CaptureFixture[str]) -> None:
    body = bridge_node()
    body["state"]["reports"] = [{"key": HOSTILE, "value": HOSTILE, "workload_tag": HOSTILE}]
    text = shown(capsys, snapshot.render(body, 1000, NOW))
    assert text.count(r"\x1b]0;owned\x07\x1b[2J\r\n\u202e[bold red]x[/]") == 3
    assert all(character.isprintable() or character == "\n" for character in text)


def test_a_difference_says_added_removed_and_changed(capsys: pytest.CaptureFixture[str]) -> None:
    edited = bridge_node()
    edited["peers"][1]["mesh_ip"] = "fd00:42::10"
    edited["policy"]["rules"].pop()
    edited["state"]["data"] = edited["reports"]["data"] = [{"key": "site", "value": "Bern"}]
    text = shown(capsys, render(differences(bridge_node(), edited), OVER_TIME))
    assert "peers  1 changed" in text
    assert "mesh_ip=fd00:42::9   mesh_ip=fd00:42::10" in text
    assert "- removed   rule 2   deny any fd00:42::/32 -> fd00:42::7/128" in text
    assert "value=Zürich   value=Bern" in text
    assert "reports  differs as state does" in text
    assert "same  reachability, bridge" in text


def test_two_nodes_are_called_a_and_b(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, render(differences(bridge_node(), plain_node()), TWO_NODES))
    assert "peers  2 only A" in text
    assert "only A" in text and "removed" not in text


def test_equal_bodies_are_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    text = shown(capsys, render(differences(plain_node(), plain_node()), OVER_TIME))
    assert text == "same  no block differs\n"


def test_json_keeps_a_lone_surrogate_an_escape(capsysbinary: Any) -> None:
    write_json({"key": "\ud800ü"}, indent=None)
    assert capsysbinary.readouterr().out == b'{"key": "\\ud800\xc3\xbc"}\n'


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        ("0001-01-01T00:00:00Z", "never"),
        ("2026-11-23T08:00:00Z", "2026-11-23T08:00:00Z (30 s ago)"),
        ("2026-11-23T07:00:00.5Z", "2026-11-23T07:00:00.5Z (60 min ago)"),
        ("2026-11-20T08:00:00Z", "2026-11-20T08:00:00Z (3 d ago)"),
        ("2026-11-23T09:00:00Z", "2026-11-23T09:00:00Z (in the future)"),
        ("yesterday", "yesterday"),
    ],
)
def test_a_timestamp_is_shown_with_its_age(moment: str, text: str) -> None:
    assert timestamp_with_age(moment, NOW) == text


def test_numbers_keys_and_text_are_printed_for_people() -> None:
    assert (counted(1, "peer"), counted(1200, "peer")) == ("1 peer", "1,200 peers")
    assert shortened(KEY, narrow=False) == KEY
    assert printable("Zürich 日本") == "Zürich 日本"
