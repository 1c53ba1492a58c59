"""The files of deploy/ name settings, commands and files that exist."""

from __future__ import annotations

import json
import re
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from handlers import OPERATIONS
from server.cli import COMMANDS
from server.events.streams import KEEP_ALIVE_SECONDS
from server.gunicorn.bounds import OTHER_DESCRIPTORS
from server.settings import Settings, declared_settings
from server.telemetry.metrics import Exposition, Metrics
from server.workers.loop import LAST_TURN_SECONDS
from tests.outboxes import NO_LAG
from tests.ports.deadlines import in_time

ROOT = Path(__file__).resolve().parents[2]
UNITS = sorted((ROOT / "deploy/systemd").glob("*.service"))
CHART = ROOT / "deploy/helm/plexsphere-state"
EXAMPLES = ("systemd", "postgres", "nginx", "caddy", "container", "prometheus", "grafana")
SETTING = re.compile(r"PLEXSPHERE_[A-Z_]*[A-Z]")
COMMAND = re.compile(r"(?:/bin/|`|^)plexsphere-state ([a-z-]+)", re.MULTILINE)
METRIC = re.compile(r"`(plexsphere_[a-z_]+[a-z])`")
SERIES = re.compile(r"\b(?:plexsphere_[a-z_]+[a-z]|up(?=\{))")
SELECTOR = re.compile(r"\b(plexsphere_[a-z_]+[a-z]|up)(?:\{([^}]*)\})?(?![a-z_])")
LABEL = re.compile(r"(\w+)[=!]")
GROUPED = re.compile(r"\bby \(([\w, ]+)\)")
OPERATION = re.compile(r'operation!?="(\w+)"')
GRACEFUL = re.compile(r"^graceful_timeout = (\d+)$", re.MULTILINE)


def texts() -> dict[str, str]:
    """The examples, and the page that explains them."""
    found = [path for name in EXAMPLES for path in (ROOT / "deploy" / name).glob("*")]
    found += [CHART / "values.yaml", *(CHART / "templates").iterdir(), ROOT / "docs/operations.md"]
    return {path.name: path.read_text() for path in found if path.exists()}


def unit(path: Path) -> dict[str, str]:
    """The [Service] section; of a key that stands twice, the last value."""
    parser = ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(path)
    return dict(parser["Service"])


def test_every_setting_that_is_named_exists() -> None:
    named = {(name, setting) for name, text in texts().items() for setting in SETTING.findall(text)}
    assert named
    assert {(n, s) for n, s in named if s not in declared_settings()} == set()


def test_every_command_that_is_named_exists() -> None:
    named = {(name, word) for name, text in texts().items() for word in COMMAND.findall(text)}
    assert {command for _, command in named} >= {"serve", "relay", "evaluator"}
    assert {(n, c) for n, c in named if c not in COMMANDS} == set()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_a_unit_runs_a_command_of_ours_without_rights(path: Path) -> None:
    service = unit(path)
    program, command = service["ExecStart"].split()
    assert program.endswith("/bin/plexsphere-state")
    assert command in ("serve", "relay", "evaluator")
    assert service["User"] != "root"
    assert service["NoNewPrivileges"] == "yes"
    assert service["CapabilityBoundingSet"] == ""
    assert service["ProtectSystem"] == "strict"
    assert service["Restart"] == "always"


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.stem)
def test_systemd_waits_for_longer_than_a_process_needs_to_stop(path: Path) -> None:
    (graceful,) = GRACEFUL.findall((ROOT / "server/gunicorn/conf.py").read_text())
    assert float(unit(path)["TimeoutStopSec"]) > max(float(graceful), LAST_TURN_SECONDS)


def test_the_service_may_open_a_file_for_each_connection_of_the_default() -> None:
    service = unit(ROOT / "deploy/systemd/plexsphere-state.service")
    assert int(service["LimitNOFILE"]) >= Settings().connections + OTHER_DESCRIPTORS


def test_the_proxies_send_event_streams_on_at_once_and_wait_for_longer_than_a_keep_alive() -> None:
    nginx = (ROOT / "deploy/nginx/plexsphere-state.conf").read_text()
    caddy = (ROOT / "deploy/caddy/Caddyfile").read_text()
    events_of_nginx = nginx.partition("/events$ {")[2].partition("}")[0]
    events_of_caddy = caddy.partition("handle @events {")[2].partition("\n\t}")[0]
    assert "proxy_buffering off;" in events_of_nginx
    assert "flush_interval -1" in events_of_caddy
    for text, word in ((events_of_nginx, "proxy_read_timeout"), (events_of_caddy, "read_timeout")):
        (seconds,) = re.findall(rf"{word} (\d+)s", text)
        assert float(seconds) > 2 * KEEP_ALIVE_SECONDS


def test_the_container_runs_without_root_and_asks_livez() -> None:
    text = (ROOT / "deploy/container/Containerfile").read_text()
    users = re.findall(r"^USER (\S+)$", text, re.MULTILINE)
    assert users
    assert users[-1].partition(":")[0] not in ("0", "root")
    assert "--require-hashes" in text
    assert "/livez" in text.partition("HEALTHCHECK")[2]
    images = re.findall(r"^FROM (\S+)", text, re.MULTILINE)
    assert not [name for name in images if "/" in name], "a base image by its name, no registry"


@pytest.mark.parametrize("page", ["operations", "runbook", "settings"])
def test_every_metric_that_a_page_names_exists(page: str) -> None:
    named = set(METRIC.findall((ROOT / f"docs/{page}.md").read_text()))
    assert named
    assert named - metrics() == set()


def test_every_alert_names_metrics_that_exist_and_a_heading_of_the_runbook() -> None:
    runbook = (ROOT / "docs/runbook.md").read_text()
    headings = set(re.findall(r"^## (.+)$", runbook, re.MULTILINE))
    rules = alert_rules()
    assert len({rule["alert"] for rule in rules}) == len(rules) > 10
    for rule in rules:
        assert rule["for"]
        assert rule["labels"]["severity"] in ("critical", "warning")
        assert rule["annotations"]["summary"]
        assert rule["annotations"]["runbook"] in headings, rule["alert"]
        assert SERIES.findall(rule["expr"]), rule["alert"]
    assert metrics_of_alerts() - metrics() - {"up"} == set()
    operations = {name for rule in rules for name in OPERATION.findall(rule["expr"])}
    assert operations
    assert operations - OPERATIONS.keys() == set()


def test_every_alert_has_a_test_that_fires_it_by_metrics_that_exist() -> None:
    """`make deploy-lint` runs them with promtool."""
    tests = yaml.safe_load((ROOT / "deploy/prometheus/rules_test.yml").read_text())["tests"]
    assert [test["name"] for test in tests] == [rule["alert"] for rule in alert_rules()]
    for test in tests:
        quiet, firing = test["promql_expr_test"]
        assert (quiet["exp_samples"], firing["exp_samples"]) == ([], [{"value": 1}])
        assert f'alertname="{test["name"]}", alertstate="firing"' in firing["expr"]
        assert quiet["expr"] == firing["expr"]
    series = {SERIES.findall(row["series"])[0] for test in tests for row in test["input_series"]}
    assert {name.removesuffix("_bucket") for name in series} - metrics() == {"up"}


def test_every_query_names_metrics_labels_and_stages_that_exist() -> None:
    """Those of the dashboard and of the rules; `make deploy-lint` parses them with promtool."""
    dashboard = json.loads((ROOT / "deploy/grafana/dashboard.json").read_text())
    targets = [target for panel in dashboard["panels"] for target in panel["targets"]]
    queries = [target["expr"] for target in targets] + [rule["expr"] for rule in alert_rules()]
    assert len(targets) > 20
    labels = labels_of_metrics()
    of_scrapes = {"job", "instance", "le"}
    for query in queries:
        for name, chosen in SELECTOR.findall(query):
            metric = name.removesuffix("_bucket").removesuffix("_sum").removesuffix("_count")
            assert metric in metrics() | {"up"}, query
            wanted = set(LABEL.findall(chosen))
            assert wanted <= labels.get(metric.removesuffix("_total"), set()) | of_scrapes, query
        grouped = {word for words in GROUPED.findall(query) for word in words.split(", ")}
        declared = {label for name in labels for label in labels[name] if name in query}
        assert grouped <= declared | of_scrapes, query
    shown = {name for name, _ in SELECTOR.findall(" ".join(target["expr"] for target in targets))}
    assert {re.sub("_(bucket|sum|count)$", "", name) for name in shown} >= metrics_of_alerts() - {
        "up"
    }


def test_the_chart_runs_our_commands_with_settings_of_ours() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["settings"]
    assert {f"PLEXSPHERE_{name}" for name in values["settings"]} <= declared_settings().keys()
    assert values["workers"].keys() < set(COMMANDS)
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    setup = ConfigParser()
    setup.read(ROOT / "setup.cfg")
    version = setup["metadata"]["version"]
    assert (chart["version"], chart["appVersion"], values["image"]["tag"]) == (version,) * 3


def test_every_metric_of_the_table_of_alerts_has_a_rule() -> None:
    table = (ROOT / "docs/operations.md").read_text().partition("\n## Alerts\n")[2]
    named = set(METRIC.findall(table))
    assert named
    assert named - metrics_of_alerts() == set()


def alert_rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/rules.yml").read_text())["groups"]
    return [rule for group in groups for rule in group["rules"]]


def metrics_of_alerts() -> set[str]:
    series = {name for rule in alert_rules() for name in SERIES.findall(rule["expr"])}
    return {name.removesuffix("_bucket") for name in series}


def labels_of_metrics() -> dict[str, set[str]]:
    """Metric, without ``_total``, -> its labels."""
    instruments = [part for part in vars(Metrics()).values() if hasattr(part, "_labelnames")]
    return {part._name: set(part._labelnames) for part in instruments}


def metrics() -> set[str]:
    """Every metric that ``/metrics`` prints."""
    lines = [line for line in exposition().splitlines() if line.startswith("# TYPE ")]
    return {line.split()[2] for line in lines}


def exposition() -> str:
    """Every instrument, and the gauges of a ledger."""
    return Exposition(Metrics(), lambda deadline: NO_LAG).exposition(in_time())[0].decode()
