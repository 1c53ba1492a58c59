"""Problem codes in what scaffold prints: a declared one where it fits, else one everywhere."""

from __future__ import annotations

from server.dev.scaffold.tree import Tree
from tests.contract.printed import printed


def test_ports_that_are_there_are_refused_as_they_are() -> None:
    """Whatever the noun would call its gate 0."""
    assert Tree().gates["DomainAuditPorts"] == "audit_not_provisioned"
    found = printed("of a Domain's trail")
    answer = found["api/plexsphere-v1.yaml", "in SurveyDomainAudit, its 501"]
    assert "'#/components/responses/AuditNotProvisioned'" in answer.code
    assert not {"handlers/refusals.py", "docs/problems.md"} & {path for path, _ in found}


def test_a_body_is_refused_with_a_declared_code_that_is_known() -> None:
    found = printed("of the same noun")
    line = found["server/request_refusals.py", "in BODY_REFUSALS"].code
    assert line == '"PutNodeWombats": BodyRefusals(INVALID_ENTRY),\n'
    assert not any(path.startswith(("api/", "docs/")) for path, _ in found)


def test_a_body_that_no_declared_code_fits_gets_one_in_every_place() -> None:
    found = printed("of a caller with a body")
    line = found["server/request_refusals.py", "in BODY_REFUSALS"].code
    refusals = "MALFORMED_WOMBAT, too_large=REQUEST_BODY_TOO_LARGE"
    assert line == f'"PostWombat": BodyRefusals({refusals}),\n'
    yaml, kinds, page = ("api/plexsphere-v1.yaml", "handlers/refusals.py", "docs/problems.md")
    assert [place for place in found if place[0] in (yaml, kinds, page)] == [
        (yaml, "in PostWombat, its 400"),
        (yaml, "in components/responses"),
        (yaml, "in the enum of Problem.code"),
        (yaml, "in components/examples"),
        (kinds, "above CATALOGUE"),
        (page, "in the table"),
    ]
    answer = found[yaml, "in components/responses"].code
    assert "x-problem-codes: [unknown_query_parameter, malformed_wombat]" in answer
    assert found[page, "in the table"].code.startswith("| 400 | `malformed_wombat` | SAY ")


def test_a_code_that_the_file_declares_first_is_missing_in_the_other_places_alone() -> None:
    found = printed("of an id of its own")
    kind = found["handlers/refusals.py", "above CATALOGUE"].code
    assert '"invalid_wombat_id", "The wombat id must be a canonical lower-case UUID."' in kind
    assert ("docs/problems.md", "in the table") in found
    assert "api/plexsphere-v1.yaml" not in {path for path, _ in found}
    line = found["server/request_refusals.py", "in OPERATION_REFUSALS"].code
    assert line == '("GetWombat", "id"): INVALID_WOMBAT_ID,\n'
