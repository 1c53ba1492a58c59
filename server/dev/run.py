"""The `dev` command: a whole service from nothing, in the foreground, until Ctrl-C."""

import os
import shlex
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from .commands import REPOSITORY
from .failures import write_private
from .frozen import FrozenTrees
from .postgres import binary
from .process import StackError
from .reload import Reloader
from .stack import Stack
from .supervisor import PartEnded, Stopped, stopping_on_signals, watch

# In a clone beside the Makefile; where the package is installed, in the folder one stands in.
FOLDER = (REPOSITORY if (REPOSITORY / "Makefile").exists() else Path.cwd()) / ".dev"
# What the wider of the sample's networks has room for.
MAX_NODES = 2_000_000
# Bodies of each Node, as server/settings.py has it.
MAX_HISTORY = 100


def run_dev(
    port: int = 8080,
    nodes: int = 64,
    seed: int = 1,
    external: bool = False,
    history: int = 0,
    workers: int = 0,
    folder: Path = FOLDER,
) -> int:
    """Runs until it is stopped; the exit status: 0 when someone stopped it, 1 when it failed."""
    steps = Steps()
    trees = FrozenTrees(folder.absolute() / "served")
    stack = Stack(
        folder,
        port=port,
        nodes=nodes,
        seed=seed,
        # Importing is what a start waits for, and two cores are busy with one worker and the rest.
        workers=workers or (2 if (os.cpu_count() or 1) > 2 else 1),
        env={"PLEXSPHERE_LOG_FORMAT": "console", "PLEXSPHERE_HISTORY": str(history)},
        external=_external_settings() if external else {},
        log_to_file=False,
        evaluator=True,
        relay=True,
        tree=trees.begin,
        step=steps.done,
    )
    try:
        _check(port, nodes, history)
        with stopping_on_signals(), stack:
            write_env(folder / "env", {**stack.env, **stack.identities}, not external)
            steps.farewell(stack)
            reloader = Reloader(trees, stack.env, lambda: stack.gunicorn.pid, say)
            watch(stack, reloader.poll)
    except Stopped as reason:
        say(f"\nstopped ({reason}): nothing is left running.")
        return 0
    except (StackError, PartEnded) as reason:
        say(f"plexsphere-state: {reason}", error=True)
        return 1


def _check(port: int, nodes: int, history: int) -> None:
    if not 1 <= port <= 65535:
        raise StackError(f"PORT must be a number from 1 to 65535, not {port}.")
    if not 1 <= nodes <= MAX_NODES:
        raise StackError(f"NODES must be a number from 1 to {MAX_NODES}, not {nodes}.")
    if not 0 <= history <= MAX_HISTORY:
        raise StackError(f"HISTORY must be a number from 0 to {MAX_HISTORY}, not {history}.")


def _external_settings() -> dict[str, str]:
    from .external import external_settings

    return external_settings()


class Steps:
    """Says what was done and how long it took."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def done(self, title: str) -> None:
        now = time.monotonic()
        say(f"  {title}: {now - self._last:.2f} s")
        self._last = now

    def farewell(self, stack: Stack) -> None:
        seconds = time.monotonic() - self._began
        token = stack.identities["PLEXSPHERE_TOKEN"]
        state = f"{stack.url}/v1/nodes/{stack.node_id}/state"
        say(
            f"\nUp in {seconds:.1f} s with {stack.sample.nodes} Nodes. Ctrl-C stops everything.\n"
            f"\n  address   {stack.url}\n"
            f"  docs      {stack.url}/docs\n"
            f"  settings  . .dev/env\n"
            f'\ncurl -s -H "Authorization: Bearer {token}" {state}\n'
        )


def write_env(path: Path, values: Mapping[str, str], own_postgres: bool = True) -> None:
    """Shell `export` lines. They hold passwords, so they are for their owner alone.

    The command is found behind them, and our Postgres' psql where the machine has none.
    """
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    command = shlex.quote(str(Path(sys.executable).parent))
    psql = f":{shlex.quote(str(binary('psql').parent))}" if own_postgres else ""
    write_private(path, "".join([*lines, f'export PATH={command}:"$PATH"{psql}\n']))


def say(text: str, error: bool = False) -> None:
    # The terminal may be gone, and the stack is stopped all the same.
    with suppress(OSError):
        print(text, file=sys.stderr if error else sys.stdout, flush=True)
    if not error:
        with suppress(OSError, ValueError):
            sys.stdout.flush()
