"""The parts of a stack as handles: start, stop, kill, freeze, thaw."""

import http.client
import signal
from collections.abc import Callable
from dataclasses import dataclass

from .ports import HOST
from .process import Process, StackError, wait_until


@dataclass(slots=True)
class Part:
    """One part, whether it runs just now or not.

    `launch` starts it and returns at once, `ready` waits until it answers. `stop_signal` is what
    asks it to end cleanly and quickly.
    """

    name: str
    port: int
    stop_signal: signal.Signals
    launch: Callable[[], Process]
    ready: Callable[[Process], None]
    stop_seconds: float = 10.0
    changed: Callable[[], None] = lambda: None
    process: Process | None = None

    @property
    def pid(self) -> int:
        return self._running().pid

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def begin(self) -> None:
        """Starts without waiting; `await_ready` is the other half."""
        self.process = self.launch()
        self.changed()

    def await_ready(self) -> None:
        self.ready(self._running())

    def start(self) -> None:
        self.begin()
        self.await_ready()

    def stop(self) -> None:
        """Cleanly, also when it is frozen or already gone."""
        if self.process is not None:
            self.process.end(self.stop_signal, self.stop_seconds)
            self.process = None
            self.changed()

    def kill(self) -> None:
        """kill -9, children included."""
        self._running().kill()
        self.process = None
        self.changed()

    def freeze(self) -> None:
        """SIGSTOP, children included: it accepts connections and never answers."""
        self._running().signal_family(signal.SIGSTOP)

    def thaw(self) -> None:
        self._running().signal_family(signal.SIGCONT)

    def restart(self) -> None:
        self.stop()
        self.start()

    def _running(self) -> Process:
        if self.process is None:
            raise StackError(f"{self.name} is not running.")
        return self.process


def wait_for_answer(port: int, path: str, process: Process, seconds: float = 30.0) -> None:
    """Until a GET of `path` is a 200; the last other answer is in the error."""
    last = ""

    def answered() -> bool:
        nonlocal last
        connection = http.client.HTTPConnection(HOST, port, timeout=2)
        try:
            connection.request("GET", path, headers={"Connection": "close"})
            answer = connection.getresponse()
            last = f"{answer.status} {answer.read(500).decode(errors='replace')}"
            return answer.status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    try:
        wait_until(answered, process, seconds, f"ready at {path}", pause=0.03)
    except StackError as error:
        raise StackError(f"{error} Its last answer: {last}" if last else str(error)) from error
