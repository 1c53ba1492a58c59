"""The docs page in a real headless Chromium, against the real service.

One run of ``tests/e2e/browser/docs.mjs`` uses the page as people do; each test judges a part of
what was seen. Where a part of the contract is enough, the page shows only that part.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from server.contract.document import Contract
from server.dev.sample import OPERATOR
from server.dev.stack import Stack
from tests import scratch
from tests.client import ask, bearer, pull_path
from tests.e2e.browser.headless import ASSETS, HERE, PACKAGE, PAGE, install, run_script
from tests.excerpts import excerpt, with_few_responses, without_responses

# The first run installs the browser.
pytestmark = pytest.mark.timeout(600)
X86 = pytest.mark.skipif(
    os.uname().machine != "x86_64", reason="the browser's package is for x86_64 alone"
)
WALK_S = 240.0
REFUSAL_LINE = "Failed to load resource: the server responded with a status of 40"


# An operation of each method; DELETE answers without a body.
OF_EACH_KIND = ("GetNodeReachability", "CreateDomain", "PutNodeStateReport", "DeleteDomain")
# An answer, none, and a Problem: the others look the same.
STATUSES = ("200", "204", "400")
# Those that are filled in and sent from a page of forms.
SENT = (
    "GetNodeState",
    "PostNodeHeartbeat",
    "PutNodeStateReport",
    "DeleteNodeStateReport",
    "CreateDomain",
)


@dataclass(frozen=True)
class Visit:
    """The Node that asks, the script's findings, and the browser's own log of its network."""

    node: str
    found: Any
    netlog: Any

    def journals(self, key: str) -> list[Any]:
        """One column of every page's journal but the attacked one's."""
        journals = {k: v for k, v in self.found["journals"].items() if k != "attack"}
        assert len(journals) == 5
        return [entry for journal in journals.values() for entry in journal[key]]


def contract_files(folder: Path) -> dict[str, str]:
    """Contracts that a page shows in place of the service's: of few operations, and of forms."""
    whole = Contract.packaged()
    text = whole.raw.decode()
    contracts = {
        "few": with_few_responses(yaml.safe_load(excerpt(text, OF_EACH_KIND)), STATUSES),
        "forms": without_responses(whole.document),
        "some_forms": without_responses(yaml.safe_load(excerpt(text, SENT))),
        "inline": with_own_parameters(excerpt(text, ("GetNodeState",))),
    }
    for name, contract in contracts.items():
        (folder / f"{name}.yaml").write_text(contract)
    return {name: str(folder / f"{name}.yaml") for name in contracts}


def with_own_parameters(pull: str) -> str:
    """A contract of the pull that declares parameters where they are used."""

    def declared(name: str, required: str) -> str:
        rest = f"required: {required}, example: shown, schema: {{ type: string }}"
        return f"- {{ name: {name}, in: header, {rest} }}\n"

    path, parameters = "\n  /v1/nodes/{id}/state:\n", "\n      parameters:\n"
    of_the_path = f"    parameters:\n      {declared('X-Of-The-Path', 'false')}"
    optional, required = declared("X-Inline", "false"), declared("X-Required", "true")
    of_the_pull = f"        {optional}        {required}"
    assert pull.count(path) == 1 and parameters in pull
    return pull.replace(path, path + of_the_path).replace(parameters, parameters + of_the_pull, 1)


@pytest.fixture(scope="module")
def seen(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visit]:
    folder = tmp_path_factory.mktemp("browser")
    netlog = folder / "netlog.json"
    # Its answer is short: the page lays out every line of one.
    node = scratch.node(stack)
    values = {
        **contract_files(folder),
        "url": stack.url,
        "node": node,
        "token": stack.token(f"node:{node}"),
        "stranger": stack.token(OPERATOR),
        "netlog": str(netlog),
    }
    found = run_script("docs.mjs", values, WALK_S)
    yield Visit(node, found, json.loads(netlog.read_bytes()))


# What is served.


def test_the_policy_of_the_page_allows_its_own_host_and_nothing_inline(stack: Stack) -> None:
    headers = ask(stack.url, "/docs").headers
    policy = {
        name: sources
        for name, *sources in (
            directive.split() for directive in headers["content-security-policy"].split(";")
        )
    }
    assert policy == {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "connect-src": ["'self'"],
        "base-uri": ["'none'"],
        "form-action": ["'none'"],
        "frame-ancestors": ["'none'"],
    }
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "no-referrer"


@pytest.mark.parametrize(
    ("path", "media_type"), [("/docs/page.js", "text/javascript"), ("/docs/page.css", "text/css")]
)
def test_a_file_of_the_page_that_is_held_already_is_304(
    stack: Stack, path: str, media_type: str
) -> None:
    first = ask(stack.url, path)
    assert first.status == 200 and len(first.body) > 1000
    assert first.headers["content-type"] == f"{media_type}; charset=utf-8"
    assert first.headers["x-content-type-options"] == "nosniff"
    again = ask(stack.url, path, {"If-None-Match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")
    assert ask(stack.url, path, {"If-None-Match": '"other"'}).status == 200


def test_no_other_file_is_served_beside_the_page(stack: Stack) -> None:
    for name in ("README.md", "swagger-ui.css", "../docs_page.py", "%2e%2e/docs_page.py", ""):
        assert ask(stack.url, f"/docs/{name}").status == 404, name


def test_the_committed_assets_are_the_pinned_package_byte_for_byte() -> None:
    install()
    for name in ASSETS:
        assert (PAGE / name).read_bytes() == (PACKAGE / name).read_bytes(), name
    pinned = json.loads((HERE / "package.json").read_bytes())["dependencies"]["swagger-ui-dist"]
    assert f"`swagger-ui-dist` {pinned}, Apache-2.0" in (PAGE / "README.md").read_text()


# What a person sees.


@X86
def test_the_pull_answers_200_from_the_page_with_a_pasted_token(seen: Visit, stack: Stack) -> None:
    answer = seen.found["pull"]["answer"]
    assert (answer["status"], answer["sent"]) == (200, 200)
    headers = bearer(stack.token(f"node:{seen.node}"))
    assert answer["body"] == ask(stack.url, pull_path(seen.node), headers).json


@X86
def test_the_node_of_the_token_is_filled_in_and_optional_parameters_are_not(
    seen: Visit,
) -> None:
    assert seen.found["pull"]["id"] == seen.node
    assert seen.found["pull"]["empty"] == ""


@X86
def test_the_token_is_kept_nowhere(seen: Visit) -> None:
    assert seen.found["pull"]["kept"] == [0, 0, ""]
    assert seen.found["pull"]["reloaded"]["status"] == 401


@X86
@pytest.mark.parametrize(
    ("who", "status", "code"),
    [("nobody", 401, "unauthorized"), ("stranger", 403, "insufficient_relation")],
)
def test_a_refusal_shows_its_problem(seen: Visit, who: str, status: int, code: str) -> None:
    answer = seen.found["refusals"][who]
    problem = answer["body"]
    assert (answer["status"], problem["status"], problem["code"]) == (status, status, code)
    assert problem["instance"] == pull_path(seen.node)


@X86
@pytest.mark.parametrize(("scheme", "lightness"), [("light", range(200, 256)), ("dark", range(64))])
def test_every_text_can_be_read_in_both_schemes_of_the_system(
    seen: Visit, scheme: str, lightness: range
) -> None:
    """WCAG AA over all that is there with every operation, answer and schema open."""
    looks = seen.found["open"]["looks"]
    assert looks["open"][scheme]["seen"] > 1000
    for name, in_both in looks.items():
        assert all(value in lightness for value in in_both[scheme]["ground"]), name
        assert in_both[scheme]["dim"] == [], name


@X86
def test_no_page_is_wider_than_a_phone(seen: Visit) -> None:
    fitting = [[390, 390], [320, 320]]
    widths = {**seen.found["widths"], "open": seen.found["open"]["widths"]}
    assert widths == dict.fromkeys(("start", "dialog", "open"), fitting)


@X86
def test_the_pull_is_reached_and_sent_with_the_keyboard_alone(seen: Visit) -> None:
    walk = seen.found["keyboard"]
    assert walk["answer"]["status"] == 200
    assert "execute" in walk["after"]["name"]


@X86
def test_whatever_has_the_focus_shows_it(seen: Visit) -> None:
    stops = seen.found["keyboard"]["stops"]
    assert len(stops) > 20
    assert [stop["name"] for stop in stops if not stop["visible"]] == []


@X86
def test_the_token_box_takes_the_focus_keeps_it_and_gives_it_back(seen: Visit) -> None:
    walk = seen.found["keyboard"]
    assert walk["box"]["name"].startswith("INPUT")
    assert walk["inside"] == [True] * 8
    assert walk["closed"]
    assert "authorize" in walk["back"]["name"]


# What the browser did.


@X86
def test_no_request_of_the_page_leaves_the_host(seen: Visit, stack: Stack) -> None:
    requests = seen.journals("requests")
    assert len(requests) > 20
    assert {url for url in requests if not url.startswith(f"{stack.url}/")} == set()


@X86
def test_the_browser_itself_connected_to_the_service_alone(seen: Visit, stack: Stack) -> None:
    """Its log of every socket; connecting a UDP socket for its IPv6 probe sends nothing."""
    names = {number: name for name, number in seen.netlog["constants"]["logEventTypes"].items()}
    events = [(names[event["type"]], event.get("params", {})) for event in seen.netlog["events"]]
    tcp = {params["address"] for name, params in events if name == "TCP_CONNECT_ATTEMPT" and params}
    assert tcp == {urlsplit(stack.url).netloc}
    assert not [name for name, _ in events if name == "UDP_BYTES_SENT"]


@X86
def test_the_console_says_nothing_but_the_status_of_a_refusal(seen: Visit) -> None:
    assert seen.journals("errors") == []
    lines = seen.journals("console")
    assert lines, "the refusals leave their lines"
    assert [line for line in lines if not line["text"].startswith(REFUSAL_LINE)] == []


@X86
def test_the_page_keeps_its_own_policy(seen: Visit) -> None:
    assert seen.journals("violations") == []


@X86
def test_the_policy_stops_a_script_a_request_elsewhere_and_a_frame(seen: Visit) -> None:
    """So that no violation, above, does not mean no policy."""
    assert seen.found["attack"] == {"inlineRan": False, "elsewhere": "stopped"}
    stopped = {violation.split()[0] for violation in seen.found["journals"]["attack"]["violations"]}
    assert stopped == {"script-src-elem", "connect-src", "frame-src"}
