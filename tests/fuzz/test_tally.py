"""The complaints of a tally of answers."""

from __future__ import annotations

from collections import Counter

import pytest

from tests.fuzz.aftermath import lost_workers
from tests.fuzz.exchange import CONTRACT, Exchange, operation_at
from tests.fuzz.links import declared_links
from tests.fuzz.tally import DIRECTED, FUZZED, PHASES, SAMPLED, Tally

LINKS = [link.label for link in declared_links(CONTRACT.document)]


def full() -> Tally:
    """A tally with which there is nothing wrong."""
    tally = Tally()
    for name, operation in CONTRACT.operations.items():
        tally.valid[name], tally.reached[name] = 10, 10
        tally.seen[name, min(operation.responses), FUZZED] = 1
        tally.phases.update((name, phase) for phase in PHASES)
        for status, declared in operation.responses.items():
            tally.seen[name, status, DIRECTED] = 1
            tally.codes.update(Counter((name, status, code) for code in declared.problem_codes))
    tally.links.update((link, source) for link in LINKS for source in (FUZZED, DIRECTED))
    return tally


def test_a_full_tally_has_no_complaint() -> None:
    assert full().complaints() == []


@pytest.mark.parametrize("name", CONTRACT.operations)
def test_a_declared_status_never_seen_is_named(name: str) -> None:
    for status in CONTRACT.operations[name].responses:
        tally = full()
        for source in (FUZZED, DIRECTED):
            del tally.seen[name, status, source]
        assert f"{name} {status}: declared and never seen" in tally.complaints()


def test_a_code_never_seen_is_named() -> None:
    tally = full()
    del tally.codes["GetNodeState", 503, "authz_unavailable"]
    assert tally.complaints() == ["GetNodeState 503 authz_unavailable: declared and never seen"]


def test_an_operation_never_fuzzed_is_named() -> None:
    tally = full()
    del tally.seen["GetDocs", 200, FUZZED]
    assert tally.complaints() == ["GetDocs: never fuzzed"]


@pytest.mark.parametrize("name", CONTRACT.operations)
def test_a_phase_without_a_case_of_an_operation_is_named(name: str) -> None:
    for phase in PHASES:
        tally = full()
        del tally.phases[name, phase]
        assert tally.complaints() == [f"{name}: no case of {phase}"]


@pytest.mark.parametrize("link", LINKS)
def test_a_link_that_leads_nowhere_is_named(link: str) -> None:
    tally = full()
    for source in (FUZZED, DIRECTED):
        del tally.links[link, source]
    assert tally.complaints() == [f"{link}: never followed to a 2xx"]


def test_a_stateful_phase_that_stays_outside_is_named() -> None:
    tally = full()
    for link in LINKS:
        if "[201]" in link:
            del tally.links[link, FUZZED]
    assert tally.complaints() == ["stateful: no case reached what another had made"]


def test_links_are_found_where_a_response_is_referred_to() -> None:
    assert "GET /v1/nodes/{id}/state -> [200] Revalidate -> GET /v1/nodes/{id}/state" in LINKS
    assert "POST /v1/domains -> [201] Read -> GET /v1/domains/{domain_id}" in LINKS


def test_a_contract_that_lost_its_links_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.fuzz.tally.declared_links", lambda document: [])
    assert full().complaints() == ["no link in the contract: no case of stateful"]


def test_what_schemathesis_keeps_to_itself_is_named() -> None:
    """A thread that died leaves exit status 0, and "No issues found"."""
    assert lost_workers("Exception in thread a\nTraceback\n No issues found") != []
    assert lost_workers("No issues found") == []


def test_answers_of_every_operation_outcome_and_source_have_their_audit_rows_looked_for() -> None:
    """However many others came before."""
    tally = Tally()
    for source in (FUZZED, DIRECTED):
        for path in ("/v1/nodes/a/state", "/v1/nodes/a/reachability"):
            for status in (403, 200):
                for number in range(1_000):
                    mark = {"x-correlation-id": f"{source} {path} {number}"}
                    tally.add(Exchange("GET", path, {}, status, mark, b""), source)
    assert len(tally.audited) == 2 * 2 * 2 * SAMPLED


def test_a_correlation_id_that_came_twice_needs_two_rows() -> None:
    tally = Tally()
    for mark in ("a", "a", "b"):
        values = {"x-correlation-id": mark}
        tally.add(Exchange("GET", "/v1/nodes/a/state", {}, 200, values, b""), FUZZED)
    assert tally.audited == {("a", "granted"): 2, ("b", "granted"): 1}


def test_an_undeclared_status_is_named() -> None:
    tally = full()
    tally.seen["GetLivez", 302, FUZZED] = 1
    assert tally.complaints() == ["GetLivez 302: seen and not declared"]


def test_a_suite_that_stays_outside_is_named() -> None:
    tally = full()
    tally.reached["GetNodeState"] = 4
    assert tally.complaints() == ["GetNodeState: 40% of the valid cases reach a 2xx, not 50%"]


def test_what_belongs_to_no_operation_is_told_apart() -> None:
    assert operation_at("/v1/nodes/a%2Fb/state") is None
    found = operation_at("/v1/nodes/%00/state?x=1")
    assert found is not None and found.operation_id == "GetNodeState"
    ours = {"x-correlation-id": "a"}
    for method, received, named in (
        ("GET", ours, "GetLivez"),
        ("HEAD", ours, "GetLivez"),
        ("POST", ours, "-"),
        ("GET", {}, "-"),
    ):
        assert Exchange(method, "/livez", {}, 400, received, b"").name == named
