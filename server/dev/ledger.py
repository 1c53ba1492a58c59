"""The development ledger: migrated, holding the sample that was asked for, made once."""

import hashlib
import json
import sys
from collections.abc import Callable
from importlib.resources import files
from itertools import chain
from pathlib import Path

from composer.errors import ComposerError
from db.bulk import copy_rows, forget_authz_tokens, implied_tuples

from .postgres import Cluster
from .process import StackError
from .sample import Sample

Step = Callable[[str], None]
# From here on it takes long enough to be looked at.
LARGE = 1000


def prepare_ledger(cluster: Cluster, sample: Sample, stamp: Path, step: Step) -> None:
    """Leaves a ledger alone that was made for this sample by these migrations; else makes it anew.

    The stamp is written last, so a ledger whose making was interrupted is made anew as well.
    """
    wanted = {
        "nodes": sample.nodes,
        "seed": sample.seed,
        "migrations": _digest("db", "migrations"),
        "sample": _digest("server.dev", "", "sample"),
    }
    if _read(stamp) == wanted:
        return
    stamp.unlink(missing_ok=True)
    # Only now: with its imports it is the longest step of a start that has nothing to migrate.
    from db.migrate import migrate

    try:
        cluster.recreate_database()
        migrate(cluster.dsn)
        step("migrations")
        load_sample(cluster.dsn, sample)
        step(f"sample Domain of {sample.nodes} Nodes")
    except ComposerError as error:
        raise StackError(f"the development ledger could not be made: {_whole(error)}") from error
    stamp.write_text(json.dumps(wanted))


def load_sample(dsn: str, sample: Sample) -> None:
    """By COPY, in one transaction; a large one shows on a terminal how far it is."""
    tables = chain(sample.tables(), sample.extremes())
    if sample.nodes < LARGE or not sys.stdout.isatty():
        copy_rows(dsn, tables)
        return
    from rich.progress import Progress

    with Progress(transient=True) as progress:
        task = progress.add_task("  sample Domain", total=sample.nodes)
        copy_rows(dsn, tables, lambda rows: progress.advance(task, rows))


def tuples_for_spicedb(dsn: str) -> list[tuple[str, str, str]]:
    """What an empty SpiceDB is to hold; what the last one said is forgotten."""
    try:
        forget_authz_tokens(dsn)
        return implied_tuples(dsn)
    except ComposerError as error:
        raise StackError(f"the ledger could not be read: {_whole(error)}") from error


def _digest(package: str, folder: str, prefix: str = "") -> str:
    """Of the files that decide what is made: a change of one makes the ledger anew."""
    place = files(package).joinpath(folder) if folder else files(package)
    found = sorted(
        (entry.name, entry.read_bytes())
        for entry in place.iterdir()
        if entry.is_file() and entry.name.startswith(prefix)
    )
    return hashlib.sha256(repr(found).encode()).hexdigest()


def _whole(error: BaseException) -> str:
    """With what the driver said: nobody but the developer sees it here."""
    return f"{error} ({str(error.__cause__).strip()})" if error.__cause__ else str(error)


def _read(path: Path) -> object:
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None
