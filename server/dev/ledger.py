"""The development ledger: migrated, with the requested sample, made once."""

import hashlib
import json
import sys
from collections.abc import Callable
from dataclasses import astuple
from importlib.resources import files
from itertools import chain
from pathlib import Path

from composer.errors import ComposerError
from db.bulk import copy_rows, forget_authz_tokens, forget_events, implied_tuples, last_changes
from server.authz.tuples import fence_tuple

from .postgres import Cluster
from .process import StackError
from .sample import Sample

Step = Callable[[str], None]
# Nodes of a sample whose loading takes seconds, and shows its progress.
LARGE = 1000


def prepare_ledger(cluster: Cluster, sample: Sample, stamp: Path, step: Step) -> None:
    """Makes the ledger anew unless it was made for this sample by these migrations.

    The stamp is written last, so that an interrupted ledger is made anew too.
    """
    stamped = {
        "nodes": sample.nodes,
        "seed": sample.seed,
        "migrations": _digest("db", "migrations"),
        "sample": _digest("server.dev", "", "sample"),
    }
    if _read(stamp) == stamped:
        return
    stamp.unlink(missing_ok=True)
    # Late, because these imports would be the longest step of a start without migrations.
    from db.migrate import migrate

    try:
        cluster.recreate_database()
        migrate(cluster.dsn)
        step("migrations")
        load_sample(cluster.dsn, sample)
        forget_events(cluster.dsn)
        step(f"sample Domain of {sample.nodes} Nodes")
    except ComposerError as error:
        raise StackError(
            f"the development ledger could not be made: {_with_cause(error)}"
        ) from error
    stamp.write_text(json.dumps(stamped))


def load_sample(dsn: str, sample: Sample) -> None:
    """Load the sample in one transaction; a large sample shows its progress on a terminal."""
    tables = chain(sample.tables(), sample.extremes())
    if sample.nodes < LARGE or not sys.stdout.isatty():
        copy_rows(dsn, tables)
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("  sample Domain", total=sample.nodes)
        copy_rows(dsn, tables, lambda rows: progress.advance(task, rows))


def tuples_for_spicedb(dsn: str) -> list[tuple[str, str, str]]:
    """The tuples for an empty SpiceDB. Tokens of an earlier SpiceDB are deleted from the ledger."""
    try:
        forget_authz_tokens(dsn)
        fences = [astuple(fence_tuple(*change)) for change in last_changes(dsn)]
        return [*implied_tuples(dsn), *fences]
    except ComposerError as error:
        raise StackError(f"the ledger could not be read: {_with_cause(error)}") from error


def _digest(package: str, folder: str, prefix: str = "") -> str:
    """The digest of the files that decide what is made: a change in them makes the ledger anew."""
    place = files(package).joinpath(folder) if folder else files(package)
    found = sorted(
        (entry.name, entry.read_bytes())
        for entry in place.iterdir()
        if entry.is_file() and entry.name.startswith(prefix)
    )
    return hashlib.sha256(repr(found).encode()).hexdigest()


def _with_cause(error: BaseException) -> str:
    """The error with the driver's message, which only the developer sees here."""
    return f"{error} ({str(error.__cause__).strip()})" if error.__cause__ else str(error)


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
