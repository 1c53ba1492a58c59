"""``plexsphere-state snapshot``: the desired state of a Node, as tables, bytes or a difference."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table
from rich.text import Text

from server.cli.contact import answering_dsn
from server.cli.differences import OVER_TIME, differences, write_difference
from server.cli.failures import ExitCode, Failure
from server.cli.formats import counted, shortened, timestamp_with_age
from server.cli.options import AsJson, Dsn, Node, Token, Url, node_id
from server.cli.screen import Screen, line, pairs, plain, table, write_bytes, write_json
from server.cli.snapshot_body import BLOCKS, BUCKETS, Record, port_range, read_snapshot

if TYPE_CHECKING:
    from server.cli.service import Pulled

EXAMPLE = (
    "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --raw > earlier.json\n\n"
    "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --diff earlier.json\n\n"
    "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --explain\n\n"
    "plexsphere-state snapshot $PLEXSPHERE_NODE_ID --explain --peer $PLEXSPHERE_BRIDGE_NODE_ID"
)
KEY_LENGTH = 44
_PADDING = 9  # of a table with four columns


def snapshot(
    node: Node,
    url: Url = "",
    token: Token = "",
    raw: Annotated[bool, typer.Option("--raw", help="Exactly the bytes of the body.")] = False,
    as_json: AsJson = False,
    diff: Annotated[
        str | None,
        typer.Option(
            metavar="FILE", help="Compare with an earlier body; - is stdin.", show_default=False
        ),
    ] = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Read the ledger, and show the rows of each block.")
    ] = False,
    peer: Annotated[
        str | None,
        typer.Option(
            metavar="NODE",
            help="With --explain: why this Node is a peer or not.",
            show_default=False,
        ),
    ] = None,
    dsn: Dsn = "",
) -> None:
    """Get a Node's desired state, and show a table for each block.

    With the token of a person or a service the command reads the snapshot, which needs domain-view
    on the Node's Domain and never counts as a pull of the agent. With a Node's own token it pulls.

    With --diff: exit code 1 when it differs from FILE, 0 when it is the same. The timestamps of
    reachability move with every heartbeat and do not count.

    With --explain the service is not asked: the command shows for every Node of the Domain why it
    is a peer or not, and for every block the rows of the ledger that it comes from. With --peer it
    answers for one other Node, of any Domain: exit code 1 where that is no peer.
    """
    from server.cli.addresses import service_url
    from server.cli.service import ServiceAccess, pull

    addressed = node_id(node)
    if (raw, diff is not None, explain).count(True) > 1 or (raw and as_json):
        raise Failure("choose one of --raw, --json, --diff and --explain.", ExitCode.USAGE)
    if peer is not None and not explain:
        raise Failure("--peer is for --explain.", ExitCode.USAGE)
    if explain:
        from server.cli.explanation import show_explanation, show_peer

        if peer is None:
            show_explanation(answering_dsn(dsn), addressed, as_json)
        else:
            show_peer(
                dsn=answering_dsn(dsn),
                addressed=addressed,
                peer=node_id(peer, "--peer"),
                as_json=as_json,
            )
        return
    earlier = None if diff is None else read_snapshot(diff)
    pulled = pull(ServiceAccess(service_url(url), token), addressed)
    if earlier is not None:
        write_difference(differences(earlier, pulled.snapshot), OVER_TIME, as_json)
    elif raw:
        write_bytes(pulled.body)
    elif as_json:
        write_json(pulled.snapshot)
    else:
        _show(pulled, addressed)


def _show(pulled: Pulled, addressed: str) -> None:
    screen = Screen()
    screen.print(line("Node", addressed))
    size = f"{len(pulled.body):,} bytes in {pulled.seconds * 1000:.0f} ms"
    facts = f"{size}, correlation_id {pulled.correlation_id}, ETag {pulled.etag}"
    screen.print(plain(facts, "dim"))
    screen.print_all(render(pulled.snapshot, screen.width, datetime.now(UTC)))


def render(body: Record, width: int, now: datetime) -> Iterator[Text | Table]:
    """Every block, in wire order; ``width`` of the screen in characters."""
    yield from _peers(body["peers"], width)
    yield from _reachability(body["reachability"], now)
    yield from _policy(body["policy"])
    yield from _bridge(body["bridge"])
    yield from _entries("state", body["state"])
    if body["reports"] == body["state"]:
        yield line("reports", "the same value as state")
    else:
        yield from _entries("reports", body["reports"])
    for name in body.keys() - set(BLOCKS):
        yield line(name, _compact(body[name]))


def _peers(peers: list[Record], width: int) -> Iterator[Text | Table]:
    title = f"peers  {counted(len(peers), 'peer')}"
    if not peers:
        yield line(title, "no other Node of the Domain is complete enough to be a peer")
        return
    narrow = _is_narrow(peers, width)
    columns = ["node_id", "mesh_ip", "public_key"]
    relayed = any("fallback_endpoint" in peer for peer in peers)
    rows = []
    for peer in peers:
        row = [peer["node_id"], peer["mesh_ip"], shortened(peer["public_key"], narrow)]
        rows.append([*row, peer.get("fallback_endpoint", "")] if relayed else row)
    yield table(title, [*columns, "fallback_endpoint"] if relayed else columns, rows)


def _is_narrow(peers: list[Record], width: int) -> bool:
    """Whether a table of ``peers`` has no room for whole keys."""
    others = ("node_id", "mesh_ip", "fallback_endpoint")
    widest = sum(max((len(peer.get(name, "")) for peer in peers), default=0) for name in others)
    return widest + KEY_LENGTH + _PADDING > width


def _reachability(block: Record, now: datetime) -> Iterator[Text | Table]:
    yield pairs(
        "reachability",
        {
            "state": block["state"] or '"" (never evaluated)',
            "last_heartbeat_at": timestamp_with_age(block["last_heartbeat_at"], now),
            "changed_at": timestamp_with_age(block["changed_at"], now),
        },
    )


def _policy(policy: Record | None) -> Iterator[Text | Table]:
    if policy is None:
        yield line("policy", "null: no compiled rule set matches this Node")
        return
    rules = policy["rules"]
    title = f"policy  {counted(len(rules), 'rule')}, revision {policy['revision_id']}"
    yield line(title, f"fingerprint {policy['fingerprint']}")
    if rules:
        columns = ("#", "action", "protocol", "source", "destination", "ports")
        yield table("", columns, [_rule(rule, number) for number, rule in enumerate(rules, 1)])


def _rule(rule: Record, number: int) -> tuple[object, ...]:
    addresses = (rule["source_cidr"], rule["destination_cidr"])
    return (number, rule["action"], rule["protocol"], *addresses, port_range(rule))


def _bridge(bridge: Record | None) -> Iterator[Text | Table]:
    if bridge is None:
        yield line("bridge", "null: this Node hosts no bridge Resource")
        return
    yield line("bridge", ", ".join(bridge) or "no aggregate is configured yet")
    for name, aggregate in bridge.items():
        for key, value in aggregate.items():
            if not isinstance(value, list):
                yield line(f"bridge {name}", f"{key} {_compact(value)}")
            elif value:
                yield _members(f"bridge {name} {key}  {len(value)}", value)
            else:
                yield line(f"bridge {name} {key}", "none")


def _members(title: str, members: list[Record]) -> Table:
    """A row for each member. Its many fields share a column, because they need the width."""
    rows = []
    for member in members:
        (_, first), *rest = [(key, value) for key, value in member.items() if key != "id"]
        rows.append((first, "  ".join(f"{key}={_compact(value)}" for key, value in rest)))
    return table(title, ("slug" if "slug" in members[0] else "peer_node_id", "settings"), rows)


def _compact(value: object) -> str:
    if isinstance(value, list):
        return ",".join(map(str, value))
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _entries(name: str, block: Record) -> Iterator[Text | Table]:
    rows = [
        (bucket, entry["key"], entry.get("workload_tag", ""), entry["value"])
        for bucket in BUCKETS
        for entry in block[bucket]
    ]
    sizes = ", ".join(f"{bucket} {len(block[bucket])}" for bucket in BUCKETS)
    if rows:
        yield table(f"{name}  {sizes}", ("bucket", "key", "workload_tag", "value"), rows)
    else:
        yield line(name, "no entries")
