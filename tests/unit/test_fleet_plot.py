"""The plot, the report and the options of a simulation."""

from __future__ import annotations

import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from server.cli.failures import Failure
from server.cli.fleet.simulate import _draw, check_plot, report
from server.fleet.plot import draw
from server.fleet.proof import Proof
from server.fleet.tally import PULL, Tally
from tests.command_runs import failed, run

SVG = "{http://www.w3.org/2000/svg}"


def tally() -> Tally:
    """Three seconds: served, in part refused, and a request without an answer."""
    made = Tally()
    for at, status in ((0.1, 200), (0.2, 200), (1.1, 503), (1.2, 304), (2.5, 0)):
        made.add(PULL, at, 0.0, status, 0.02)
    return made


def test_an_svg_shows_every_status_and_is_the_same_every_time(tmp_path: Path) -> None:
    files = [tmp_path / "a.svg", tmp_path / "b.svg"]
    for file in files:
        check_plot(file)
        draw(tally(), "five <agents> & more", file)
    root = ElementTree.parse(files[0]).getroot()
    words = [text.text for text in root.iter(f"{SVG}text")]
    assert {"five <agents> & more", "p50", "p99", "200", "304", "503", "no answer"} <= set(words)
    fills = {path.get("fill") for path in root.iter(f"{SVG}path")}
    assert {"#1565c0", "#2e7d32", "#66bb6a", "#c62828", "#424242"} <= fills
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_png_is_drawn(tmp_path: Path) -> None:
    file = tmp_path / "plot.png"
    draw(tally(), "five agents", file)
    assert file.read_bytes().startswith(b"\x89PNG")


def test_a_run_without_a_request_has_no_plot(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _draw(Tally(), "no agent", tmp_path / "plot.svg")
    assert "no plot: the run was over before the first request" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_plot_without_its_library_is_refused_before_the_simulation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    with pytest.raises(Failure, match=r"pip install 'plexsphere-state\[plot\]'"):
        check_plot(tmp_path / f"fleet.{ending}")


@pytest.mark.parametrize(
    ("words", "env", "sentence"),
    [
        (("--url", "http://192.0.2.1:8080"), {}, "--anywhere"),
        ((), {"PLEXSPHERE_OPERATOR_TOKEN": ""}, "PLEXSPHERE_OPERATOR_TOKEN"),
        (("--plot", "fleet.gif"), {}, "must end in .svg or .png"),
        (("--plot", "no/such/folder/fleet.svg"), {}, "there is no folder no/such/folder"),
        (("--plot", "folder.svg"), {}, "folder.svg cannot be written"),
        ((), {"PLEXSPHERE_DSN": "nonsense"}, "PLEXSPHERE_DSN is malformed"),
        (("--name", "Bad Name"), {}, "small letters and digits"),
        (("--name", "fleet-"), {}, "small letters and digits"),
        (("--name", "f" * 61), {}, "60 characters at most"),
    ],
)
def test_bad_options_of_a_simulation_are_refused_before_the_first_request(
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


def test_the_report_lists_differing_and_unproven_agents(
    capsys: pytest.CaptureFixture[str],
) -> None:
    silent = {f"n-{number}": "503 dependency_unavailable" for number in range(2, 24)}
    report(tally(), 1_200, Proof({"n-1": "peers differ"}, silent), as_json=False)
    output = capsys.readouterr().out
    assert "0: 1" not in output
    assert "no answer: 1, 200: 2, 304: 1, 503: 1" in output
    assert "20.0 ms" in output
    assert "  n-1: peers differ" in output
    assert "1,177 of 1,200 agents equal the ledger." in output
    assert "22 agents got no last answer, and nothing is proven of them:" in output
    assert output.count(": 503 dependency_unavailable\n") == 20
    assert "  and 2 more: --json has all." in output


def test_a_stopped_registration_names_the_command_that_removes_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupted(*words: object, **named: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("server.fleet.enrolment.enrol", interrupted)
    monkeypatch.setattr("server.cli.fleet.simulate.answering_dsn", str)
    usable = {
        "PLEXSPHERE_OPERATOR_TOKEN": "t",
        "PLEXSPHERE_DSN": "postgresql://127.0.0.1:1/x",
        "PLEXSPHERE_URL": "http://127.0.0.1:1",
    }
    result = run("fleet", "simulate", "--name", "outage", **usable)
    assert "simulate --name outage --nodes 1 --seconds 1 --remove` removes it" in failed(result, 3)
