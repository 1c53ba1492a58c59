"""Copies of an embedded Postgres, by its own pg_basebackup: a streaming standby, or a restore."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path
from shutil import rmtree
from signal import SIGINT

import psycopg2
from psycopg2.extensions import make_dsn

from server.dev.parts import Part
from server.dev.ports import HOST, free_ports
from server.dev.postgres import SUPERUSER, Cluster, binary
from tests.waiting import until


class Copy(Cluster):
    """A copy of ``primary`` as it is now, in a folder of its own."""

    def __init__(self, primary: Cluster, folder: Path, *, follows: bool) -> None:
        """``follows``: it streams from the primary; else it is a primary of its own."""
        rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        folder.chmod(0o755)  # for the unprivileged user that runs Postgres
        super().__init__(folder, free_ports(1)[0])
        self._password = primary._password
        self.data.mkdir(mode=0o700)
        identity = self._identity()
        identity.own(self.data)
        command = [
            *(*identity.prefix, str(binary("pg_basebackup")), "--pgdata", str(self.data)),
            *("--host", HOST, "--port", str(primary.port), "--username", SUPERUSER),
            *("--wal-method=stream", "--checkpoint=fast", "--no-sync"),
            *(self._slot(primary) if follows else []),
        ]
        subprocess.run(
            command,
            env={"PGPASSWORD": self._password.read_text().strip(), "LC_ALL": "C"},
            check=True,
            capture_output=True,
        )
        self.part = Part(
            name="copy",
            port=self.port,
            stop_signal=SIGINT,
            launch=self.start,
            ready=self.wait_ready,
        )

    def _slot(self, primary: Cluster) -> list[str]:
        """For the primary, which must not remove what this standby has not received yet; the slots
        of earlier standbys would keep that for ever."""
        with (
            closing(psycopg2.connect(make_dsn(primary.dsn, dbname="postgres"))) as opened,
            opened,
            opened.cursor() as cursor,
        ):
            cursor.execute(
                "SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots"
                " WHERE NOT active"
            )
        return ["--write-recovery-conf", "--create-slot", f"--slot=copy_{self.port}"]

    def dsn_of(self, database: str) -> str:
        """The DSN of one of its databases."""
        return str(make_dsn(self.dsn, dbname=database))

    def run(self, sql: str) -> object:
        """One statement of a superuser, and its first value."""
        with psycopg2.connect(self.dsn_of("postgres")) as opened, opened.cursor() as cursor:
            cursor.execute(sql)
            row = cursor.fetchone()
        opened.close()
        return row[0] if row else None

    def hold_back(self) -> None:
        """Replay nothing until ``catch_up``; what is replayed by now is all that it shows."""
        self.run("SELECT pg_wal_replay_pause()")
        until(
            lambda: self.run("SELECT pg_get_wal_replay_pause_state()") == "paused",
            "the replay to pause",
        )

    def catch_up(self) -> None:
        """Replay on."""
        self.run("SELECT pg_wal_replay_resume()")

    def await_wal(self, wal: object) -> None:
        """Until it has replayed the WAL to there."""
        until(
            lambda: self.run(f"SELECT pg_last_wal_replay_lsn() >= '{wal}'::pg_lsn"),
            "the standby to follow",
        )

    def promote(self) -> None:
        """A primary from now on."""
        self.run("SELECT pg_promote(true, 30)")
