"""The cost of a large Domain, and of many Domains: rows 9 and 10."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from itertools import chain, count, cycle, repeat

import psycopg2

from server.dev.sample import OPERATOR
from tests.bench.driver import drive, request_bytes
from tests.bench.served import GZIP, Served
from tests.bodies import JSON, body_now
from tests.client import ask

CLIENTS = 4
# A Domain of IPv6's local range for each number, with so many Nodes, whose keys are digests.
DOMAINS = (
    "WITH made AS (INSERT INTO plexsphere.domains (id, name, mesh_cidr)"
    " SELECT gen_random_uuid(), 'bench ' || n,"
    " set_masklen(('fd00::' || to_hex(n) || ':0:0')::inet, 96)::cidr"
    " FROM generate_series(1, %s) AS n RETURNING id, mesh_cidr)"
    " INSERT INTO plexsphere.nodes (id, domain_id, mesh_ip, public_key)"
    " SELECT gen_random_uuid(), d.id, host(network(d.mesh_cidr))::inet + n,"
    " sha256(convert_to(d.id::text || n, 'UTF8'))"
    " FROM made AS d, generate_series(1, %s) AS n"
)
ONE_OF_EACH = (
    "SELECT DISTINCT ON (n.domain_id) n.id::text FROM plexsphere.nodes AS n"
    " JOIN plexsphere.domains AS d ON d.id = n.domain_id WHERE d.name LIKE 'bench %%'"
)

NO_DOMAINS = (
    "WITH gone AS (DELETE FROM plexsphere.nodes AS n USING plexsphere.domains AS d"
    " WHERE d.id = n.domain_id AND d.name LIKE 'bench %') DELETE FROM plexsphere.domains"
    " WHERE name LIKE 'bench %'"
)


def operator(served: Served) -> dict[str, str]:
    """The headers of the platform's manager."""
    return served.headers_of(OPERATOR)


def registration_ms(served: Served, paths: Sequence[str], number: int) -> dict[str, object]:
    """CPU of a registration by part; each path gets one in turn."""
    turns, left = cycle(paths), count(1)
    headers = JSON | operator(served)

    def source() -> bytes | None:
        if next(left) > number:
            return None
        return request_bytes(served.url, next(turns), headers, body_now("RegisterNode"))

    before = served.cpu()
    found = drive(served.url, source, 201, CLIENTS, 120)
    made = len(found.latencies)
    each = {part: (cpu - before[part]) * 1000 / made for part, cpu in served.cpu().items()}
    return {
        **{f"{part}_ms": round(cpu, 3) for part, cpu in each.items()},
        "total_ms": round(sum(each.values()), 3),
        "per_second": round(found.per_second, 1),
        "p50_ms": round(found.milliseconds(0.5), 2),
        "p99_ms": round(found.milliseconds(0.99), 2),
        "answers": made,
        "refused": sum(found.others.values()),
    }


def empty_domains(served: Served, number: int) -> list[str]:
    """Paths of registration into Domains that have no Node."""
    headers = JSON | operator(served)
    made = []
    for _ in range(number):
        reply = ask(served.url, "/v1/domains", headers, "POST", body_now("CreateDomain"))
        assert reply.status == 201, reply.body
        made.append(f"/v1/domains/{json.loads(reply.body)['id']}/nodes")
    return made


def own_domain(served: Served) -> str:
    """The path of registration into the sample's Domain."""
    return f"/v1/domains/{served.sample.domain_id}/nodes"


@contextmanager
def many_domains(served: Served, domains: int, nodes: int) -> Iterator[list[str]]:
    """Domains, and a Node of each. They go afterwards: the next start would fill SpiceDB with all
    their Nodes."""
    with closing(psycopg2.connect(served.env["PLEXSPHERE_DSN"])) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(DOMAINS, (domains, nodes))
            cursor.execute("ANALYZE plexsphere.nodes")
            cursor.execute(ONE_OF_EACH)
            ids = [row[0] for row in cursor.fetchall()]
            try:
                yield ids
            finally:
                cursor.execute(NO_DOMAINS)


def pulls_of(served: Served, ids: Sequence[str], rounds: int) -> int:
    """Read the snapshots of Nodes in turn, as the manager; the number of answers."""
    headers = operator(served) | GZIP
    asked = chain.from_iterable(repeat(ids, rounds))

    def source() -> bytes | None:
        node = next(asked, None)
        return node and request_bytes(served.url, f"/v1/nodes/{node}/snapshot", headers)

    found = drive(served.url, source, 200, CLIENTS, 300)
    assert not found.others, found.others
    return len(found.latencies)
