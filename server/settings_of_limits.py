"""Settings: deadlines, the connections to the ledger, quotas, and what the service remembers."""

from __future__ import annotations

from dataclasses import dataclass

from composer.registry import MOST_NODES
from server.setting_kinds import count, seconds, switch, text
from server.settings_of_systems import SystemSettings

_REFUSED_503 = "503 `datastore_unavailable`"


@dataclass(frozen=True, slots=True)
class LimitSettings(SystemSettings):
    """The second of the groups of Settings."""

    pull_deadline: float = seconds(
        default=3.0,
        low=0.1,
        high=60,
        meaning="the time budget of one request, from when a thread takes it up",
        at_limit="503 of the dependency that the request waits for",
    )
    answer_deadline: float = seconds(
        default=27.0,
        low=0.1,
        high=600,
        meaning="how long after its last byte a request may be answered; agents give up after 30 s",
        at_limit="a request that would wait longer for a thread is 503 `overloaded` at once",
    )
    statement_timeout: float = seconds(
        default=2.5,
        low=0.1,
        high=60,
        meaning="the longest time of one statement, as Postgres itself measures it",
        at_limit=f"Postgres ends the statement; {_REFUSED_503}",
    )
    pool_size: int = count(
        default=0,
        low=0,
        high=1000,
        unit="connections",
        meaning="connections of each process that read the ledger; 0: a share of the threads",
        at_limit=f"a request waits up to 1 s for a free one; then {_REFUSED_503}",
    )
    write_pool_size: int = count(
        default=0,
        low=0,
        high=1000,
        unit="connections",
        meaning="connections of each process for each kind of writer (registry, heartbeats, "
        "outbox); 0: a share of the threads",
        at_limit=f"a request waits up to 1 s for a free one; then {_REFUSED_503}",
    )
    lock_timeout: float = seconds(
        default=1.0,
        low=0.01,
        high=60,
        meaning="how long a writer waits for a row that another writer holds",
        at_limit=_REFUSED_503,
    )
    compare_interval: float = seconds(
        default=300.0,
        low=0,
        high=86_400,
        meaning="how often a relay compares SpiceDB with the ledger and repairs what "
        "differs; 0: never",
        at_limit="a relationship that differs stays until `plexsphere-state authz repair`",
    )
    jwks_max_age: float = seconds(
        default=0.0,
        low=0,
        high=31_536_000,
        meaning="how old a key set of a URL may be since it was last confirmed; 0: any age",
        at_limit="503 `keys_unavailable` for every token that one of its keys signed",
    )
    jwks_kept: str = text(
        "a file in which the last good key set of a URL is kept (mode 0600), for a start while the "
        "URL does not answer",
        "empty: kept for the next workers of the running service only",
    )
    stale_read_ttl: float = seconds(
        default=300.0,
        low=0,
        high=86_400,
        meaning="how long the last answer of a Node's pull may be sent again while Postgres does "
        "not answer; 0: never",
        at_limit="503 `datastore_unavailable`",
    )
    stale_read_bytes: int = count(
        default=268_435_456,
        low=1_048_576,
        high=1_099_511_627_776,
        unit="bytes",
        meaning="about what the last answers of a host have together",
        at_limit="the oldest are deleted",
    )
    stale_read_folder: str = text(
        "a folder for the last answers of pulls, which must be the service's alone (mode 0700), so "
        "that a start during an outage of Postgres still has them",
        "empty: a folder of the running service, which ends with it",
    )
    refusals_per_minute: int = count(
        default=300,
        low=0,
        high=1_000_000,
        unit="requests",
        meaning="refusals by gate 2 of one subject from one source, for each host; 0: no limit",
        at_limit="429 `rate_limited`, but for what gate 2 granted the subject in the last "
        "5 minutes",
    )
    registrations_per_minute: int = count(
        default=12_000,
        low=0,
        high=1_000_000,
        unit="requests",
        meaning="registrations of one subject from one source, for each host; 0: no limit",
        at_limit="429 `rate_limited`",
    )
    enrolments_per_minute: int = count(
        default=600,
        low=0,
        high=1_000_000,
        unit="requests",
        meaning="enrolments with a bootstrap token from one source, for each host; 0: no limit",
        at_limit="429 `rate_limited`",
    )
    secret_key_failures_per_minute: int = count(
        default=12_000,
        low=0,
        high=1_000_000,
        unit="requests",
        meaning="node secret keys from one source that are not valid, for each host; 0: no limit",
        at_limit="401 `unauthorized` for each key that the process has not verified before",
    )
    key_rotation_interval: float = seconds(
        default=10.0,
        low=0,
        high=86_400,
        meaning="the least time between two rotations of a public key, and between two of a "
        "secret key, by one subject from one source, for each host; 0: none",
        at_limit="429 `rate_limited`, but for a rotation to the same public key again",
    )
    # The longest unreachable_after there is: by then no peer expects the old Node any more.
    address_hold_off: float = seconds(
        default=3_600.0,
        low=0,
        high=31_536_000,
        meaning="how long a released address is not given to another Node",
        at_limit="503 `pool_exhausted` where a Domain has no other address left",
    )
    cached_peers: int = count(
        default=200_000,
        low=0,
        high=100_000_000,
        unit="rows",
        meaning="peer rows that each process keeps, all Domains together; about half a "
        "kilobyte each",
        at_limit="the rows of the Domain that was pulled longest ago are dropped, and read again "
        "at its next pull",
    )
    node_quota: int = count(
        default=MOST_NODES,
        low=1,
        high=MOST_NODES,
        unit="Nodes",
        meaning="Nodes that a Domain may have; with more, an agent could not read the peers",
        at_limit="409 `node_quota_exceeded`",
    )
    report_quota: int = count(
        default=128,
        low=1,
        high=100_000,
        unit="entries",
        meaning="reports that a Node may have",
        at_limit="409 `report_quota_exceeded`",
    )
    entry_quota: int = count(
        default=128,
        low=1,
        high=100_000,
        unit="entries",
        meaning="metadata entries that a Node may have, and data entries",
        at_limit="409 `entry_quota_exceeded`",
    )
    audit: bool = switch(
        True,
        "write audit rows",
        "0: the rows of writes only, which are in the transactions of the writes",
    )
    audit_queue: int = count(
        default=50_000,
        low=1,
        high=10_000_000,
        unit="rows",
        meaning="audit rows of each process that wait for the ledger",
        at_limit="the row is lost, logged and counted in `plexsphere_audit_rows_lost_total`",
    )
    audit_spool: str = text(
        "a folder, which must be the service's alone (mode 0700), in which audit rows wait for the "
        "ledger, so that they outlive every process",
        "empty: they wait in memory, and those of a process that is killed are lost",
    )
    audit_spool_bytes: int = count(
        default=268_435_456,
        low=1_048_576,
        high=1_099_511_627_776,
        unit="bytes",
        meaning="about what all files of the spool have together",
        at_limit="later rows wait in memory, as many as `PLEXSPHERE_AUDIT_QUEUE` allows",
    )
    history: int = count(
        default=0,
        low=0,
        high=100,
        unit="bodies",
        meaning="served bodies that are kept of each Node, for `fleet history`; needs the audit",
        at_limit="the oldest body of the Node is removed",
    )
    body_warning_bytes: int = count(
        default=8_388_608,
        low=1,
        high=2**40,
        unit="bytes",
        meaning="the size from which a snapshot is logged; agents cut a body off at 10 MiB",
        at_limit="the body is sent, logged as `snapshot_large` and counted in "
        "`plexsphere_large_snapshots_total`",
    )
