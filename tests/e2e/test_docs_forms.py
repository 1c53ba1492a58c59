"""Operations that write, sent from the docs page in a real headless Chromium.

One run of ``tests/e2e/browser/forms.mjs``; each test judges a part of what was seen.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from server.contract.document import Contract
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.bodies import body_now, example_body
from tests.client import ask, bearer
from tests.e2e.browser.headless import run_script
from tests.e2e.test_docs_page import REFUSAL_LINE, WALK_S, X86, contract_files

# The first run installs the browser.
pytestmark = [pytest.mark.timeout(600), X86]
OPERATIONS = Contract.packaged().operations


@pytest.fixture(scope="module")
def seen(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Any:
    node = scratch.node(stack)
    values = {
        **contract_files(tmp_path_factory.mktemp("forms")),
        "url": stack.url,
        "token": stack.token(f"node:{node}"),
        "operator": stack.token(OPERATOR),
        "domain": (body_now("CreateDomain") or b"").decode(),
    }
    return {"node": node, **run_script("forms.mjs", values, WALK_S)}


def test_every_operation_can_be_sent_from_the_page(seen: Any) -> None:
    assert set(seen["every"]["after"]) == set(OPERATIONS)
    for name, form in seen["every"]["after"].items():
        assert "Execute" in form["buttons"], name


def test_a_read_is_ready_and_a_write_asks_for_a_click_of_its_own(seen: Any) -> None:
    for name, form in seen["every"]["before"].items():
        assert form["method"] == OPERATIONS[name].method
        expected = ["Execute"] if form["method"] == "GET" else ["Try it out"]
        assert form["buttons"] == expected, name


def test_the_node_of_the_token_is_filled_in_wherever_a_node_is_asked_for(seen: Any) -> None:
    asking = {
        name
        for name, operation in OPERATIONS.items()
        if operation.path.startswith("/v1/nodes/{id}")
    }
    assert len(asking) > 10
    for name in asking:
        assert seen["every"]["after"][name]["inputs"]["id"]["value"] == seen["node"], name


def test_no_optional_parameter_is_sent_unless_somebody_fills_it_in(seen: Any) -> None:
    """A limit stands at what the service takes it for anyway."""
    optional = {
        (name, parameter): field["value"]
        for name, form in seen["every"]["after"].items()
        for parameter, field in form["inputs"].items()
        if not field["required"]
    }
    assert len(optional) > len(OPERATIONS)
    assert {key for key, value in optional.items() if value} == {
        ("ListDomains", "limit"),
        ("ListDomainNodes", "limit"),
        ("ListDomainAudit", "limit"),
        ("ListNodes", "limit"),
    }


def test_an_optional_parameter_declared_where_it_is_used_starts_empty_too(seen: Any) -> None:
    pull = seen["inline"]
    assert (pull["status"], pull["described"]) == (200, 2)
    assert pull["asked"]["x-required"] == "shown"
    assert not {"x-inline", "x-of-the-path"} & set(pull["asked"])


def test_a_body_stands_at_its_example_and_is_sent_as_it_is_or_edited(seen: Any) -> None:
    report = seen["agent"]["report"]
    assert json.loads(report["example"]) == example_body("PutNodeStateReport")
    assert [report[name]["status"] for name in ("asItStands", "edited")] == [200, 200]
    assert report["asItStands"]["posted"] == report["example"]
    held = report["pulled"]["body"]["reports"]["reports"]
    assert held == [{"key": "disk.root", "value": "edited on the page"}]


def test_a_report_is_removed_and_the_second_time_it_says_that_it_is_gone(seen: Any) -> None:
    report = seen["agent"]["report"]
    assert (report["removed"]["status"], report["removed"]["body"]) == (204, None)
    assert report["removedAgain"]["body"]["code"] == "report_not_found"


def test_a_heartbeat_of_the_tokens_own_node_is_accepted(seen: Any) -> None:
    answer = seen["agent"]["heartbeat"]
    assert (answer["status"], answer["body"]["reconcile"]) == (200, False)


def test_a_domain_is_created_with_the_managers_token(seen: Any, stack: Stack) -> None:
    created = seen["manager"]["created"]
    assert created["status"] == 201
    path = f"/v1/domains/{created['body']['id']}"
    assert ask(stack.url, path, bearer(stack.token(OPERATOR))).json == created["body"]


@pytest.mark.parametrize(
    ("which", "status", "code"),
    [("nobody", 401, "unauthorized"), ("again", 409, "domain_slug_conflict")],
)
def test_a_refused_write_shows_its_problem(seen: Any, which: str, status: int, code: str) -> None:
    answer = seen["manager"][which]
    problem = answer["body"]
    assert (answer["status"], problem["status"], problem["code"]) == (status, status, code)
    assert problem["instance"] == "/v1/domains"


def test_a_write_is_opened_filled_in_and_sent_with_the_keyboard_alone(seen: Any) -> None:
    walk = seen["keyboard"]
    assert walk["seen"] == [True] * 3
    assert (walk["answer"]["status"], walk["answer"]["posted"]) == (200, '{"value": "typed"}')
    assert "execute" in walk["after"]


def test_forms_leave_the_policy_and_the_console_alone(seen: Any) -> None:
    journals = seen["journals"].values()
    assert len(journals) == 5
    assert [
        entry for journal in journals for entry in journal["violations"] + journal["errors"]
    ] == []
    lines = [line["text"] for journal in journals for line in journal["console"]]
    assert len(lines) == 3, "one for each refusal"
    assert [text for text in lines if not text.startswith(REFUSAL_LINE)] == []
