"""Each dependency with each fault: how it is broken and mended, or why the pair makes no sense."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

import psycopg2

from tests.faults.world import World
from tests.small_disk import empty, fill

DEPENDENCIES = (
    "SpiceDB",
    "JWKS URL",
    "NATS",
    "relay",
    "audit table",
    "disk",
    "clock",
    "standby",
    "Postgres",
)
FAULTS = (
    *("down", "refused", "black hole", "slow", "half-open", "flapping", "cut in mid-answer"),
    # The last one ends the primary.
    *("wrong data", "full", "no connection left", "restarted", "failed over"),
)
NETWORK = FAULTS[1:8]
# The network before Postgres is before its standby too; the standby alone has a row of its own.
EVERY_SERVER = ("Postgres", "second host", "standby")
# Of the service's disk.
FOLDERS = ("last-answers", "audit-rows")
PARTS = {"SpiceDB": "spicedb", "NATS": "nats", "relay": "relay", "Postgres": "postgres"}

Break = Callable[[World], None]


@dataclass(frozen=True, slots=True)
class Broken:
    """The beginning and the end of a fault; the callers ask from before it begins."""

    begin: Break
    end: Break


NO_SENSE = {
    ("SpiceDB", "full"): "the embedded SpiceDB keeps its tuples in memory",
    ("SpiceDB", "failed over"): "the embedded SpiceDB is one process",
    ("standby", "full"): "it takes its limits from the primary",
    ("JWKS URL", "full"): "it only reads",
    ("JWKS URL", "failed over"): "a URL has no second server",
    ("NATS", "failed over"): "the embedded NATS is one server",
    **{
        ("relay", fault): "nobody connects to it"
        for fault in ("refused", "slow", "half-open", "cut in mid-answer", "wrong data")
    },
    ("relay", "full"): "it keeps nothing",
    ("relay", "failed over"): "there is one relay",
    ("audit table", "half-open"): "a table has no connection of its own",
    ("audit table", "cut in mid-answer"): "a table has no connection of its own",
    ("audit table", "wrong data"): "nothing reads it while requests are answered",
    ("audit table", "restarted"): "it is restarted with Postgres",
    ("audit table", "failed over"): "it fails over with Postgres",
    **{
        ("disk", fault): "a file system of this machine answers, or it does not"
        for fault in ("black hole", "slow", "half-open", "cut in mid-answer")
    },
    **{
        (dependency, "no connection left"): "Postgres alone limits its connections"
        for dependency in DEPENDENCIES
        if dependency != "Postgres"
    },
    ("disk", "restarted"): "it is the machine's",
    ("disk", "failed over"): "it is the machine's",
    **{
        ("clock", fault): "a clock always answers"
        for fault in FAULTS
        if fault not in ("wrong data", "flapping")
    },
}


def broken(dependency: str, fault: str) -> Broken | str:
    """The fault, or the reason why there is none."""
    if reason := NO_SENSE.get((dependency, fault)):
        return reason
    if dependency in ("SpiceDB", "JWKS URL", "NATS", "standby", "Postgres") and fault in NETWORK:
        if (dependency, fault) == ("standby", "wrong data"):
            return Broken(
                lambda world: world.standby.hold_back(), lambda world: world.standby.catch_up()
            )
        names = EVERY_SERVER if dependency == "Postgres" else (dependency,)
        return Broken(_break_down(names, fault), _mend(names))
    return _OWN[dependency, fault]


def _break_down(names: tuple[str, ...], fault: str) -> Break:
    def begin(world: World) -> None:
        for name in names:
            if name in world.proxies:
                world.proxies[name].break_down(fault)

    return begin


def _mend(names: tuple[str, ...]) -> Break:
    def end(world: World) -> None:
        for name in names:
            if name in world.proxies:
                world.proxies[name].mend()

    return end


def _kill(name: str) -> Break:
    return lambda world: world.stack.parts[name].kill()


def _start(name: str) -> Break:
    return lambda world: world.stack.parts[name].start()


def _restart(name: str) -> Break:
    return lambda world: world.stack.parts[name].restart()


def _freeze(name: str) -> Break:
    return lambda world: world.stack.parts[name].freeze()


def _thaw(name: str) -> Break:
    return lambda world: world.stack.parts[name].thaw()


def _nothing(world: World) -> None:
    """It has mended itself."""


def _trigger(body: str) -> Break:
    """Each insert into the audit table runs this first."""

    def begin(world: World) -> None:
        world.run(
            "CREATE OR REPLACE FUNCTION public.faults() RETURNS trigger LANGUAGE plpgsql AS"
            f" $$ BEGIN {body} RETURN NEW; END $$"
        )
        world.run(
            "CREATE TRIGGER faults BEFORE INSERT ON plexsphere.audit_rows FOR EACH ROW"
            " EXECUTE FUNCTION public.faults()"
        )

    return begin


def _no_trigger(world: World) -> None:
    world.run("DROP TRIGGER IF EXISTS faults ON plexsphere.audit_rows")


def _rename(before: str, after: str) -> Break:
    return lambda world: _ignore(world.run(f"ALTER TABLE plexsphere.{before} RENAME TO {after}"))


def _ignore(result: object) -> None:
    """For a lambda that returns nothing."""


_LOCKS: list[psycopg2.extensions.connection] = []


def _lock_audit(world: World) -> None:
    holder = psycopg2.connect(world.dsn)
    with holder.cursor() as cursor:
        cursor.execute("LOCK TABLE plexsphere.audit_rows IN ACCESS EXCLUSIVE MODE")
    _LOCKS.append(holder)


def _unlock_audit(world: World) -> None:
    while _LOCKS:
        _LOCKS.pop().close()


def _fill_disk(world: World) -> None:
    fill(world.stack.places.gunicorn)


def _empty_disk(world: World) -> None:
    empty(world.stack.places.gunicorn)


_ROOM = threading.Event()


def _fill_ledger(world: World) -> None:
    """Postgres needs room for a table first, and then for its WAL, without which it ends."""
    _ROOM.clear()
    fill(world.stack.places.postgres)
    with suppress(psycopg2.Error):
        world.run("CREATE TABLE public.faults AS SELECT generate_series(1, 1000000)")
    threading.Thread(target=_use_up_wal, args=(world,), daemon=True).start()


def _use_up_wal(world: World) -> None:
    if _ROOM.wait(1.0):
        return
    with suppress(psycopg2.Error):
        while not _ROOM.is_set():
            world.run("SELECT pg_logical_emit_message(true, '', ''), pg_switch_wal()")


def _empty_ledger(world: World) -> None:
    """Postgres has ended, perhaps; it is started then, as its operator would."""
    _ROOM.set()
    empty(world.stack.places.postgres)
    postgres = world.stack.postgres
    if postgres.process is not None and postgres.process.exit_code is not None:
        postgres.restart()
    with suppress(psycopg2.Error):
        world.run("DROP TABLE IF EXISTS public.faults")


def _fill_nats(world: World) -> None:
    fill(world.nats_store)


def _empty_nats(world: World) -> None:
    """It writes nothing more to a stream that had no room, until it is started again."""
    empty(world.nats_store)
    world.stack.parts["nats"].restart()


def _tear_files(world: World) -> None:
    for path in (world.state / "last-answers").iterdir():
        path.write_bytes(b"torn")


def _no_folders(world: World) -> None:
    for name in FOLDERS:
        (world.state / name).rename(world.state / f"{name}-gone")


def _files_instead(world: World) -> None:
    """Permissions are nothing to root."""
    _no_folders(world)
    for name in FOLDERS:
        (world.state / name).touch()


def _folders_again(world: World) -> None:
    for name in FOLDERS:
        (world.state / name).unlink(missing_ok=True)
        (world.state / f"{name}-gone").rename(world.state / name)


def _no_connection(world: World) -> None:
    """A limit would not count for the embedded service, which is a superuser."""
    world.run("ALTER DATABASE plexsphere ALLOW_CONNECTIONS false", database="postgres")
    world.run(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name LIKE 'plexsphere-state%%' AND datname = 'plexsphere'",
        database="postgres",
    )


def _connections(world: World) -> None:
    world.run("ALTER DATABASE plexsphere ALLOW_CONNECTIONS true", database="postgres")


def _set_clock(seconds: float) -> Break:
    return lambda world: _ignore(world.clock.write_text(str(seconds)))


_TURNS = threading.Event()


def _in_turn(begin: Break, end: Break) -> Broken:
    """Broken and not, until the end."""
    running: list[threading.Thread] = []

    def turns(world: World) -> None:
        while not _TURNS.wait(0.3):
            begin(world)
            _TURNS.wait(0.3)
            end(world)

    def start(world: World) -> None:
        _TURNS.clear()
        running.append(threading.Thread(target=turns, args=(world,), daemon=True))
        running[-1].start()

    def stop(world: World) -> None:
        _TURNS.set()
        running.pop().join()

    return Broken(start, stop)


def _fail_over(world: World) -> None:
    """Of a primary that ends cleanly: it sends what it has to the standby that follows it."""
    world.standby.await_wal(world.run("SELECT pg_current_wal_flush_lsn()")[0][0])
    world.stack.postgres.stop()
    world.standby.promote()
    world.promoted = world.standby


def _restart_keys(world: World) -> None:
    world.keys.stop()
    world.keys.start()


def _promote_alone(world: World) -> None:
    world.standby.promote()


_OWN = {
    **{(name, "down"): Broken(_kill(part), _start(part)) for name, part in PARTS.items()},
    **{(name, "restarted"): Broken(_restart(part), _nothing) for name, part in PARTS.items()},
    ("JWKS URL", "down"): Broken(lambda world: world.keys.stop(), lambda world: world.keys.start()),
    ("JWKS URL", "restarted"): Broken(_restart_keys, _nothing),
    ("relay", "black hole"): Broken(_freeze("relay"), _thaw("relay")),
    ("relay", "flapping"): _in_turn(_freeze("relay"), _thaw("relay")),
    ("NATS", "full"): Broken(_fill_nats, _empty_nats),
    ("Postgres", "full"): Broken(_fill_ledger, _empty_ledger),
    ("Postgres", "no connection left"): Broken(_no_connection, _connections),
    ("Postgres", "failed over"): Broken(_fail_over, _nothing),
    ("standby", "down"): Broken(
        lambda world: world.standby.part.kill(), lambda world: world.standby.part.start()
    ),
    ("standby", "restarted"): Broken(lambda world: world.standby.part.restart(), _nothing),
    ("standby", "failed over"): Broken(_promote_alone, lambda world: world.replace_standby()),
    ("audit table", "down"): Broken(
        _rename("audit_rows", "audit_rows_gone"), _rename("audit_rows_gone", "audit_rows")
    ),
    ("audit table", "refused"): Broken(
        _trigger("RAISE EXCEPTION 'refused' USING ERRCODE = 'insufficient_privilege';"), _no_trigger
    ),
    ("audit table", "black hole"): Broken(_lock_audit, _unlock_audit),
    ("audit table", "slow"): Broken(_trigger("PERFORM pg_sleep(0.1);"), _no_trigger),
    ("audit table", "flapping"): Broken(
        _trigger("IF random() < 0.5 THEN RAISE EXCEPTION 'now and then'; END IF;"), _no_trigger
    ),
    ("audit table", "full"): Broken(
        _trigger("RAISE EXCEPTION 'full' USING ERRCODE = 'disk_full';"), _no_trigger
    ),
    ("disk", "down"): Broken(_no_folders, _folders_again),
    ("disk", "refused"): Broken(_files_instead, _folders_again),
    ("disk", "wrong data"): Broken(_tear_files, _nothing),
    ("disk", "full"): Broken(_fill_disk, _empty_disk),
    ("disk", "flapping"): _in_turn(_fill_disk, _empty_disk),
    ("clock", "wrong data"): Broken(_set_clock(-3600), _set_clock(0)),
    ("clock", "flapping"): _in_turn(_set_clock(-3600), _set_clock(0)),
}


@contextmanager
def fault(world: World, how: Broken) -> Iterator[None]:
    """The fault holds inside."""
    how.begin(world)
    try:
        yield
    finally:
        how.end(world)
