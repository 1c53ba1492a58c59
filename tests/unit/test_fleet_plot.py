"""The plot of a simulation, and that it can be drawn is known before anything is registered."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from server.cli.failures import Failure
from server.cli.fleet_report import check_plot, report
from server.fleet.plot import draw
from server.fleet.proof import Proof
from server.fleet.tally import PULL, Tally
from tests.unit.test_cli_pulling import failed, run

SVG = "{http://www.w3.org/2000/svg}"


def tally() -> Tally:
    """Three seconds: served, in part refused, and one answer that never came."""
    made = Tally()
    for at, status in ((0.1, 200), (0.2, 200), (1.1, 503), (1.2, 304), (2.5, 0)):
        made.add(PULL, at, 0.0, status, 0.02)
    return made


@pytest.fixture
def without_pillow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)


@pytest.mark.usefixtures("without_pillow")
def test_an_svg_needs_no_library_and_tells_every_status(tmp_path: Path) -> None:
    file = tmp_path / "fleet.svg"
    check_plot(file)
    draw(tally(), "five <agents> & more", file)
    root = ElementTree.parse(file).getroot()
    words = [one.text for one in root.iter(f"{SVG}text")]
    assert words[0] == "five <agents> & more"
    assert {"p50", "p99", "200", "304", "503", "no answer"} <= set(words)
    bars = {one.get("fill") for one in root.iter(f"{SVG}rect")}
    assert {"#2e7d32", "#66bb6a", "#c62828", "#424242"} <= bars


def test_a_png_shows_what_the_svg_shows(tmp_path: Path) -> None:
    from PIL import Image

    file = tmp_path / "fleet.png"
    check_plot(file)
    draw(tally(), "five agents", file)
    with Image.open(file) as image:
        colours = {colour for _, colour in image.getcolors(1 << 20)}
    assert {(0x2E, 0x7D, 0x32), (0xC6, 0x28, 0x28), (0, 0, 0)} <= colours


@pytest.mark.usefixtures("without_pillow")
def test_a_png_without_its_library_is_refused_beforehand(tmp_path: Path) -> None:
    with pytest.raises(Failure, match=r"plexsphere-state\[plot\], or name an .svg"):
        check_plot(tmp_path / "fleet.png")


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_an_empty_tally_can_be_drawn(tmp_path: Path, ending: str) -> None:
    file = tmp_path / f"plot.{ending}"
    draw(Tally(), "nobody", file)
    assert file.stat().st_size > 500


@pytest.mark.parametrize(
    ("words", "env", "sentence"),
    [
        (("--url", "http://192.0.2.1:8080"), {}, "--anywhere"),
        ((), {"PLEXSPHERE_OPERATOR_TOKEN": ""}, "PLEXSPHERE_OPERATOR_TOKEN"),
        (("--plot", "fleet.gif"), {}, ".svg or .png"),
        (("--plot", "no/such/folder/fleet.svg"), {}, "there is no folder no/such/folder"),
        (("--plot", "folder.svg"), {}, "folder.svg cannot be written"),
        ((), {"PLEXSPHERE_DSN": "nonsense"}, "PLEXSPHERE_DSN is malformed"),
        (("--name", "Bad Name"), {}, "small letters and digits"),
        (("--name", "fleet-"), {}, "small letters and digits"),
        (("--name", "f" * 61), {}, "60 characters at most"),
    ],
)
def test_what_cannot_be_simulated_is_said_before_anything_is_asked(
    words: tuple[str, ...],
    env: dict[str, str],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Nothing listens at the URL: whatever were asked first would end in another sentence."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder.svg").mkdir()
    usable = {
        "PLEXSPHERE_OPERATOR_TOKEN": "t",
        "PLEXSPHERE_DSN": "postgresql://127.0.0.1:1/x",
        "PLEXSPHERE_URL": "http://127.0.0.1:1",
    }
    result = run("fleet", "simulate", *words, **{**usable, **env})
    assert sentence in failed(result, 2)


def test_the_summary_says_what_was_proven_and_of_whom_nothing_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    silent = {f"n-{number}": "503 dependency_unavailable" for number in range(2, 24)}
    report(tally(), 1_200, Proof({"n-1": "peers differ"}, silent), as_json=False)
    said = capsys.readouterr().out
    assert "0: 1" not in said
    assert "no answer: 1, 200: 2, 304: 1, 503: 1" in said
    assert "20.0 ms" in said
    assert "  n-1: peers differ" in said
    assert "1,177 of 1,200 pictures equal the ledger." in said
    assert "22 agents got no last answer, and of those nothing is proven:" in said
    assert said.count(": 503 dependency_unavailable\n") == 20
    assert "  and 2 more: --json has all." in said


def test_who_stops_a_registration_is_told_what_removes_what_is_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("server.fleet.enrolment.enrol", interrupted)
    usable = {
        "PLEXSPHERE_OPERATOR_TOKEN": "t",
        "PLEXSPHERE_DSN": "postgresql://127.0.0.1:1/x",
        "PLEXSPHERE_URL": "http://127.0.0.1:1",
    }
    result = run("fleet", "simulate", "--name", "outage", **usable)
    assert "simulate --name outage --nodes 1 --seconds 1 --remove` removes it" in failed(result, 3)
