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
        3.0,
        0.1,
        60,
        "the time budget of one request, from when a thread takes it up",
        "503 of the dependency that the request waits for",
    )
    answer_deadline: float = seconds(
        27.0,
        0.1,
        600,
        "how long after its last byte a request may be answered; agents give up after 30 s",
        "a request that would wait longer for a thread is 503 `overloaded` at once",
    )
    statement_timeout: float = seconds(
        2.5,
        0.1,
        60,
        "the longest time of one statement, as Postgres itself measures it",
        f"Postgres ends the statement; {_REFUSED_503}",
    )
    pool_size: int = count(
        0,
        0,
        1000,
        "connections",
        "connections of each process that read the ledger; 0: a share of the threads",
        f"a request waits up to 1 s for a free one; then {_REFUSED_503}",
    )
    write_pool_size: int = count(
        0,
        0,
        1000,
        "connections",
        "connections of each process for each kind of writer (registry, heartbeats, outbox); 0: a "
        "share of the threads",
        f"a request waits up to 1 s for a free one; then {_REFUSED_503}",
    )
    lock_timeout: float = seconds(
        1.0,
        0.01,
        60,
        "how long a writer waits for a row that another writer holds",
        _REFUSED_503,
    )
    compare_interval: float = seconds(
        300.0,
        0,
        86_400,
        "how often a relay compares SpiceDB with the ledger and repairs what differs; 0: never",
        "a relationship that differs stays until `plexsphere-state authz repair`",
    )
    jwks_max_age: float = seconds(
        0.0,
        0,
        31_536_000,
        "how old a key set of a URL may be since it was last confirmed; 0: any age",
        "503 `keys_unavailable` for every token that one of its keys signed",
    )
    jwks_kept: str = text(
        "a file in which the last good key set of a URL is kept (mode 0600), for a start while the "
        "URL does not answer",
        "empty: kept for the next workers of the running service only",
    )
    stale_read_ttl: float = seconds(
        300.0,
        0,
        86_400,
        "how long the last answer of a Node's pull may be sent again while Postgres does not "
        "answer; 0: never",
        "503 `datastore_unavailable`",
    )
    stale_read_bytes: int = count(
        268_435_456,
        1_048_576,
        1_099_511_627_776,
        "bytes",
        "about what the last answers of a host have together",
        "the oldest are deleted",
    )
    stale_read_folder: str = text(
        "a folder for the last answers of pulls, which must be the service's alone (mode 0700), so "
        "that a start during an outage of Postgres still has them",
        "empty: a folder of the running service, which ends with it",
    )
    refusals_per_minute: int = count(
        300,
        0,
        1_000_000,
        "requests",
        "refusals by gate 2 of one subject from one source, for each host; 0: no limit",
        "429 `rate_limited`, but for what gate 2 granted the subject in the last 5 minutes",
    )
    registrations_per_minute: int = count(
        12_000,
        0,
        1_000_000,
        "requests",
        "registrations of one subject from one source, for each host; 0: no limit",
        "429 `rate_limited`",
    )
    enrolments_per_minute: int = count(
        600,
        0,
        1_000_000,
        "requests",
        "enrolments with a bootstrap token from one source, for each host; 0: no limit",
        "429 `rate_limited`",
    )
    secret_key_failures_per_minute: int = count(
        12_000,
        0,
        1_000_000,
        "requests",
        "node secret keys from one source that are not valid, for each host; 0: no limit",
        "401 `unauthorized` for each key that the process has not verified before",
    )
    key_rotation_interval: float = seconds(
        10.0,
        0,
        86_400,
        "the least time between two rotations of a public key, and between two of a secret key, by "
        "one subject from one source, for each host; 0: none",
        "429 `rate_limited`, but for a rotation to the same public key again",
    )
    # The longest unreachable_after there is: by then no peer expects the old Node any more.
    address_hold_off: float = seconds(
        3_600.0,
        0,
        31_536_000,
        "how long a released address is not given to another Node",
        "503 `pool_exhausted` where a Domain has no other address left",
    )
    cached_peers: int = count(
        200_000,
        0,
        100_000_000,
        "rows",
        "peer rows that each process keeps, all Domains together; about half a kilobyte each",
        "the rows of the Domain that was pulled longest ago are dropped, and read again at its "
        "next pull",
    )
    node_quota: int = count(
        MOST_NODES,
        1,
        MOST_NODES,
        "Nodes",
        "Nodes that a Domain may have; with more, an agent could not read the peers",
        "409 `node_quota_exceeded`",
    )
    report_quota: int = count(
        128, 1, 100_000, "entries", "reports that a Node may have", "409 `report_quota_exceeded`"
    )
    entry_quota: int = count(
        128,
        1,
        100_000,
        "entries",
        "metadata entries that a Node may have, and data entries",
        "409 `entry_quota_exceeded`",
    )
    audit: bool = switch(
        True,
        "write audit rows",
        "0: the rows of writes only, which are in the transactions of the writes",
    )
    audit_queue: int = count(
        50_000,
        1,
        10_000_000,
        "rows",
        "audit rows of each process that wait for the ledger",
        "the row is lost, logged and counted in `plexsphere_audit_rows_lost_total`",
    )
    audit_spool: str = text(
        "a folder, which must be the service's alone (mode 0700), in which audit rows wait for the "
        "ledger, so that they outlive every process",
        "empty: they wait in memory, and those of a process that is killed are lost",
    )
    audit_spool_bytes: int = count(
        268_435_456,
        1_048_576,
        1_099_511_627_776,
        "bytes",
        "about what all files of the spool have together",
        "later rows wait in memory, as many as `PLEXSPHERE_AUDIT_QUEUE` allows",
    )
    history: int = count(
        0,
        0,
        100,
        "bodies",
        "served bodies that are kept of each Node, for `fleet history`; needs the audit",
        "the oldest body of the Node is removed",
    )
    body_warning_bytes: int = count(
        8_388_608,
        1,
        2**40,
        "bytes",
        "the size from which a snapshot is logged; agents cut a body off at 10 MiB",
        "the body is sent, logged as `snapshot_large` and counted in "
        "`plexsphere_large_snapshots_total`",
    )
