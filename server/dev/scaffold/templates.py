"""What the printed files look like; a name with a dollar stands for what differs."""

MODULE = '''\
"""$title"""

from __future__ import annotations

$imports
$code'''

PORTS = '''\
class $source(Protocol):
    """What is shown. SAY what a caller may rely on: order, bounds, units."""

$method


@dataclass(frozen=True, slots=True)
class $ports:
    """Everything the operation needs$bound"""

$fields'''

METHOD = '''\
$head
        """$raises"""
        ...
'''

HANDLER = '''\
$head
    """$summary."""
$gates$asked
$recorded$answer
'''

REFUSE = '''\
def refuse_$slice() -> Answer:
    """Gate 0: nothing is asked further in while a load-bearing port is missing."""
$raised
'''

FAKE = '''\
@dataclass
class $fake:
    """Shows the contract's examples; ``fails`` is raised first, ``calls`` is whom it was asked."""

    fails: Exception | None = None
    calls: list[object] = field(default_factory=list)

$method'''

FAKE_METHOD = """\
$head
        self.calls.append($asker)
        _in_time(deadline, DatastoreUnavailable("no time left"), self.fails)
        return $shown
"""

ADAPTER = '''\
class $adapter:
    """Implements $port."""

    def __init__(self, pool: $pool) -> None:
        self._pool = pool

$method'''

ADAPTER_METHOD = '''\
$head
        """See $port."""
        raise NotImplementedError
'''

TESTS = """\
$ask
$arranged
$called


def test_${function}_answers_what_the_port_shows() -> None:
    source = $fake()
    answer = ask_$function(source)
$expected
$turned_away$on_record$away"""

TURNED_AWAY = """

$strangers
$head
    source = $fake()
    with pytest.raises(Refused) as refused:
        ask_$function(source, who)
    assert refused.value.kind is kind
    assert not source.calls
"""

ON_RECORD = """

def test_${function}_leaves_a_row_for_both_outcomes() -> None:
    source, sink = $fake(), FakeAuditSink()
    ask_$function(source, agent_of(1), sink)
    with pytest.raises(Refused):
        ask_$function(source, agent_of(2), sink)
    assert [(row.relation, row.outcome) for row in sink.rows] == [
        ("$audit", "granted"),
        ("$audit", "insufficient_relation"),
    ]
"""

AWAY = """

def test_${function}_is_a_503_while_its_port_is_away() -> None:
    source = $fake(fails=DatastoreUnavailable("away"))
    with pytest.raises(Refused) as refused:
        ask_$function(source)
    assert refused.value.kind is DATASTORE_UNAVAILABLE
"""

TABLES = """\
AUTHN: "$name": $authn,
AUTHZ: "$name": $authz,
AUDIT: "$name": $audit,
REACHED: "$name": $reached,
"""

# A Problem code as the contract shows it, and an answer with the codes that it may carry.
EXAMPLE = """\
    $title:
      summary: SAY when
      value:
$members

"""

RESPONSE = """\
    $title:
      description: SAY what is refused; of several faults, which is told.
      x-problem-codes: [$codes]
      headers:
        X-Correlation-Id: { $$ref: '#/components/headers/CorrelationId' }
      content:
        application/problem+json:
          schema:
            $$ref: '#/components/schemas/Problem'
          examples:
$examples

"""
