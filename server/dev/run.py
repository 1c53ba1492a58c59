"""The `dev` command: a whole service from nothing, in the foreground, until Ctrl-C."""

import os
import select
import shlex
import signal
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import NoReturn

from . import defaults
from .commands import REPOSITORY
from .files import write_private
from .postgres import binary
from .process import StackError, die_with_parent
from .reload import FrozenTrees, Reloader
from .stack import Stack

# In a clone beside the Makefile; where the package is installed, in the working folder.
FOLDER = (REPOSITORY if (REPOSITORY / "Makefile").exists() else Path.cwd()) / ".dev"
# The addresses of the wider of the sample's networks.
MAX_NODES = 2_000_000


def _commit() -> dict[str, str]:
    """The settings that name the commit of the clone; none where there is no clone."""
    from server.dev.stamp import commit_of  # which needs setuptools

    names = {"commit": "PLEXSPHERE_COMMIT", "date": "PLEXSPHERE_COMMIT_DATE"}
    return {names[name]: text for name, text in commit_of(REPOSITORY).items()}


def run_dev(
    port: int = defaults.PORT,
    nodes: int = defaults.NODES,
    seed: int = defaults.SEED,
    external: bool = False,
    history: int = defaults.HISTORY,
    workers: int = 0,
    folder: Path = FOLDER,
) -> int:
    """Runs until it is stopped; the exit status is 0 when it was stopped, 1 when it failed."""
    steps = Steps()
    trees = FrozenTrees(folder.absolute() / "served")
    stack = Stack(
        folder,
        port=port,
        nodes=nodes,
        seed=seed,
        # A start waits for the imports of the workers, and one worker keeps two cores busy.
        workers=workers or (2 if (os.cpu_count() or 1) > 2 else 1),
        env={
            "PLEXSPHERE_LOG_FORMAT": "console",
            "PLEXSPHERE_HISTORY": str(history),
            **_commit(),
        },
        external=_external_settings() if external else {},
        log_to_file=False,
        nats=True,
        evaluator=True,
        relay=True,
        tree=trees.begin,
        step=steps.done,
    )
    try:
        _check(port, nodes, history)
        with stopping_on_signals(), stack:
            write_env(folder / "env", {**stack.env, **stack.identities}, not external)
            steps.ready(stack)
            reloader = Reloader(
                trees=trees, settings=stack.env, gunicorn_pid=lambda: stack.gunicorn.pid, say=say
            )
            watch(stack, reloader.poll)
    except StopRequested as reason:
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
    if history != defaults.HISTORY:
        from server.settings import SettingsError, read_settings  # late: it imports the drivers

        try:
            read_settings({"PLEXSPHERE_HISTORY": str(history)})
        except SettingsError as error:
            raise StackError(f"{error}, not {history}.") from error


def _external_settings() -> dict[str, str]:
    from .external import external_settings

    return external_settings()


class Steps:
    """Prints the steps of a start with their seconds."""

    def __init__(self) -> None:
        self._began = self._last = time.monotonic()

    def done(self, title: str) -> None:
        now = time.monotonic()
        say(f"  {title}: {now - self._last:.2f} s")
        self._last = now

    def ready(self, stack: Stack) -> None:
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
    """Shell `export` lines, which only their owner can read, because they hold passwords.

    PATH leads to the command, and to the embedded Postgres' psql where the machine has none.
    """
    lines = [f"export {name}={shlex.quote(value)}\n" for name, value in values.items()]
    command = shlex.quote(str(Path(sys.executable).parent))
    psql = f":{shlex.quote(str(binary('psql').parent))}" if own_postgres else ""
    write_private(path, "".join([*lines, f'export PATH={command}:"$PATH"{psql}\n']))


def say(text: str, error: bool = False) -> None:
    # The terminal may be closed, and the stack must still be stopped.
    with suppress(OSError):
        print(text, file=sys.stderr if error else sys.stdout, flush=True)
    if not error:
        with suppress(OSError, ValueError):
            sys.stdout.flush()


POLL_SECONDS = 0.2
STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(BaseException):
    """A signal, or the closed output. Not an Exception: no ``except Exception`` may swallow it."""


class PartEnded(Exception):
    """A part ended that should run; the message is a sentence."""


@contextmanager
def stopping_on_signals() -> Iterator[None]:
    """The first Ctrl-C, TERM or HUP raises StopRequested; while parts stop, later ones are ignored.

    Under make, the end of make is a TERM too, so that a killed make leaves no process.
    """

    def stop(number: int, frame: FrameType | None) -> None:
        for other in STOPS:
            signal.signal(other, signal.SIG_IGN)
        raise StopRequested(signal.Signals(number).name)

    if "MAKELEVEL" in os.environ:
        die_with_parent(signal.SIGTERM)
    for number in STOPS:
        # nohup starts us with HUP ignored, and then we must outlive the terminal.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, stop)
    yield


def watch(stack: Stack, each_time: Callable[[], None] = lambda: None) -> NoReturn:
    """Raises PartEnded, or StopRequested, also where the reader of our output has ended."""
    output = select.poll()
    # No event is registered: poll always reports a hang-up and an error.
    output.register(sys.stdout.fileno(), 0)
    while True:
        if output.poll(POLL_SECONDS * 1000):
            raise StopRequested("closed output")
        each_time()
        for part in stack.parts.values():
            if part.process is not None and part.process.exit_code is not None:
                raise PartEnded(_end_sentence(part.name, part.pid, part.process.exit_code))


def _end_sentence(name: str, pid: int, code: int) -> str:
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
    return f"{name} (pid {pid}) {how}, so everything else was stopped too."
