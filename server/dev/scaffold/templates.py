"""What the printed files look like; a name with a dollar stands for what differs."""

HANDLER = '''\
"""$name: $summary."""

from __future__ import annotations

${mapping}from dataclasses import $dataclasses
from typing import $typing

from composer.deadline import Deadline
${errors}${identity}${port_imports}from handlers.answers import Answer, Call
$gate_imports$refusals$constants

class ${noun}Source(Protocol):
    """What is shown. SAY what a caller may rely on: order, bounds, units."""

$method
        """$raises"""
        ...


@dataclass(frozen=True, slots=True)
class ${noun}Ports:
    """Everything the operation needs$bound"""

${gates_field}    source: ${noun}Source
$audit_field

$signature
    """$summary."""
$gates$asked
$recorded$answer
$refuse'''

REFUSE = '''

def refuse_$slice() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
$raised
'''

FAKE = '''\
@dataclass
class Fake${noun}Source:
    """Shows what it was given; ``fails`` is raised first."""

    shown: $shown
    fails: Exception | None = None
    calls: int = 0

$method
        self.calls += 1
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        return self.shown
'''

TESTS = '''\
"""$name: what its gates and its port make of a call."""

from __future__ import annotations

${pytest}${errors}from composer.identity import $identity
from handlers.answers import Answer
$handlers$factories$fakes
AGENT = agent_of(1)
${node}SHOWN = $shown


$ask
$ports
$call


def test_what_the_port_shows_is_the_answer() -> None:
    answer = ask(Fake${noun}Source(SHOWN))
    assert (answer.status, answer.body) == ($status, SHOWN)
$turned_away$on_record$away'''

TURNED_AWAY = """

$strangers
def test_nothing_is_asked_for_whom_a_gate_turns_away(
    who: Principal | None, kind: RefusalKind
) -> None:
    source = Fake${noun}Source()
    with pytest.raises(Refused) as refused:
        ask(source, who)
    assert refused.value.kind is kind
    assert source.calls == 0
"""

ON_RECORD = """

def test_both_outcomes_are_on_record() -> None:
    sink = FakeAuditSink()
    ask(Fake${noun}Source(SHOWN), AGENT, sink)
    with pytest.raises(Refused):
        ask(Fake${noun}Source(), agent_of(2), sink)
    assert {row.relation for row in sink.rows} == {RELATION}
    assert [row.outcome for row in sink.rows] == ["granted", "insufficient_relation"]
"""

AWAY = """

def test_a_port_that_is_away_is_a_503() -> None:
    with pytest.raises(Refused) as refused:
        ask(Fake${noun}Source(fails=DatastoreUnavailable("away")))
    assert refused.value.kind is DATASTORE_UNAVAILABLE
"""

TABLES = """\
AUTHN: "$name": $authn,
AUTHZ: "$name": $authz,
AUDIT: "$name": $audit,
REACHED: "$name": $reached,
"""
