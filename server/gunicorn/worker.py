"""gunicorn's thread worker with a loop that owns the connections.

A thread holds a whole request and nothing else. gunicorn's parser, its WSGI environment and its
responses are what they were; how connections are waited for is not. Reasons and figures are in
docs/decisions/0018-a-loop-owns-the-connections.md.
"""

from __future__ import annotations

import atexit
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import structlog
from gunicorn import sock as gunicorn_sockets
from gunicorn import util
from gunicorn.http import wsgi
from gunicorn.http.errors import (
    ExpectationFailed,
    LimitRequestHeaders,
    LimitRequestLine,
    ParseException,
    UnsupportedTransferCoding,
)
from gunicorn.workers.gthread import ThreadWorker

from server.flags import COMPLAINED, clear_flag
from server.gunicorn.boot import Boot, BootState
from server.gunicorn.bounds import Bounds, with_descriptors
from server.gunicorn.connection import Connection
from server.gunicorn.environ import HOLD, RECEIVED, SEND_WHOLE
from server.gunicorn.framing import is_read_to_the_end
from server.gunicorn.lanes import Lane, Lanes
from server.gunicorn.loop import Loop
from server.gunicorn.stream import STREAM_KERNEL_BYTES, Stream
from server.gunicorn.whole_answer import head
from server.settings import read_settings

# A client that has left is looked for only where its request had to wait (s): one that merely says
# that it sends nothing more, with the request itself, gets its answer.
WAITED_SECONDS = 0.1
# How long a worker that does not start waits before the next one is tried.
RETRY_SECONDS = 5.0
# Its exit status: gunicorn's own two (3 and 4) end the master.
NOT_STARTED = 1

# Status and reason of what is no HTTP request; any other fault of it is 400.
_NO_REQUEST = {
    TimeoutError: (408, "Request Timeout"),
    LimitRequestLine: (414, "URI Too Long"),
    ExpectationFailed: (417, "Expectation Failed"),
    LimitRequestHeaders: (431, "Request Header Fields Too Large"),
    UnsupportedTransferCoding: (501, "Not Implemented"),
}
# What the application returns once it has sent its answer, and this very list and no other.
SENT: list[bytes] = []

_log = structlog.stdlib.get_logger("plexsphere.worker")


class Worker(ThreadWorker):  # type: ignore[misc]  # gunicorn has no types
    """The loop in the main thread, requests in the threads of their lane."""

    loop: Loop
    # Wakes the loop, once there is one.
    wake: Callable[[], None] = staticmethod(lambda: None)
    # Where others serve or have served, a worker that does not start must not end the master.
    is_first = True
    # Told the lane of each request that is 503 `overloaded`.
    count_overloaded: Callable[[str], None] = staticmethod(lambda lane: None)

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._boot = BootState()
        self._lanes: Lanes | None = None

    @property
    def boot(self) -> Boot:
        """The progress of its start; for the master."""
        return self._boot.get()

    @property
    def lanes(self) -> Iterable[Lane]:
        """The lanes; None before the worker serves."""
        return () if self._lanes is None else self._lanes.all

    def init_process(self) -> None:
        """Start and serve. A later worker that does not start is tried again, by its master."""
        try:
            # The master has this class from the release that it was started with.
            from server.gunicorn import worker as now

            self.__class__ = now.Worker
            atexit.register(_ignore_signals_to_end)  # the last lines are written after that
            ThreadWorker.init_process(self)  # super() would ask for the class from before
        except (Exception, SystemExit) as error:
            if self.booted or self.is_first:
                raise
            self._boot.set(Boot.FAILED)
            if not isinstance(error, SystemExit):  # SystemExit was already reported
                self.log.exception("Worker does not start")
            self._wait_to_be_tried_again()
            raise SystemExit(NOT_STARTED) from error

    def _wait_to_be_tried_again(self) -> None:
        until = time.monotonic() + RETRY_SECONDS
        while self.alive and self.is_parent_alive() and time.monotonic() < until:
            self.notify()
            time.sleep(0.1)
        clear_flag(COMPLAINED)

    def get_thread_pool(self) -> None:
        """gunicorn's own pool is not used."""

    def handle_exit(self, sig: int, frame: object) -> None:
        """SIGTERM: stop once what is under way is answered."""
        self.alive = False
        self.wake()

    def handle_quit(self, sig: int, frame: object) -> None:
        """SIGQUIT and SIGINT: end at once."""
        _ignore_signals_to_end()
        super(ThreadWorker, self).handle_quit(sig, frame)

    def run(self) -> None:
        """Serve until told to stop; then until what is under way is answered, or time is up."""
        # here, because the master has it from the release before
        from db.together import run_together
        from server.gunicorn.overload import answer_overloaded

        settings = read_settings()
        bounds = with_descriptors(settings.bounds)
        tls = gunicorn_sockets.ssl_context(self.cfg) if self.cfg.is_ssl else None
        self.loop = Loop(
            cfg=self.cfg,
            bounds=bounds,
            listeners=self.sockets,
            tls=tls,
            hand_over=self._hand_over,
            refuse=self._refuse,
        )
        self.wake = self.loop.wake
        self._run_together = run_together
        self._answer_overloaded = answer_overloaded
        self._answer_seconds = settings.answer_deadline
        self._lanes = lanes = Lanes(settings.shared_threads, self._serve)
        lanes.start()
        self.loop.accept_connections()
        self._boot.set(Boot.SERVING)
        notified = 0.0
        while self.alive:
            now = self._turn()
            if now - notified >= 1.0:
                notified = now
                self.notify()
                self._log_refusals()
                if not self.is_parent_alive():
                    break
        self._stop(bounds)

    def _turn(self) -> float:
        assert self.loop is not None and self._lanes is not None
        now = self.loop.turn()
        self._lanes.release()
        return now

    def _stop(self, bounds: Bounds) -> None:
        now = time.monotonic()
        until = now + self.cfg.graceful_timeout
        self.loop.stop(now + bounds.stopping_seconds)
        while self.loop.connections and now < until:
            now = self._turn()
            self.notify()
        self.loop.close()
        for listener in self.sockets:
            listener.close()

    def _hand_over(self, connection: Connection) -> None:
        """Hand the request to a thread; or answer 503 at once, where its client would give up
        before a thread is free."""
        assert self._lanes is not None
        own = self._lanes.own_lane(connection.request)
        lane = self._lanes.with_room(own)
        connection.may_be_refused = own.may_refuse
        is_late = lane.wait_seconds > self._answer_seconds or self.loop.is_full
        if own.may_refuse and (is_late or not self.loop.may_enter(connection)):
            self._refuse_overloaded(connection, own)
            self.loop.finished(connection)
        else:
            lane.put(connection)

    def _refuse_overloaded(self, connection: Connection, lane: Lane) -> None:
        lane.refused += 1
        self.count_overloaded(lane.name)
        connection.may_go_on = False
        try:
            connection.may_go_on = self._answer_overloaded(connection, self.cfg)
            connection.flush()
        except OSError:
            connection.discard()

    def _refuse(self, connection: Connection, error: Exception) -> None:
        connection.may_go_on = False
        connection.begin_answer()
        try:
            self.handle_error(req=None, client=connection, addr=connection.client, exc=error)
            connection.flush()
        except OSError:
            connection.discard()

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """gunicorn's page for what is no HTTP request, and nothing in it that the client sent."""
        if not isinstance(exc, ParseException | TimeoutError):
            super().handle_error(req=req, client=client, addr=addr, exc=exc)
            return
        status, reason = _NO_REQUEST.get(type(exc), (400, "Bad Request"))
        _log.warning("request_malformed", status=status, cause=type(exc).__name__)
        util.write_error(client, status, reason, "")

    def _log_refusals(self) -> None:
        """One line a second for each lane, however many there were."""
        for lane in self.lanes:
            refused, lane.refused = lane.refused, 0
            if refused:
                seconds = round(lane.wait_seconds, 1)
                _log.warning("requests_refused", lane=lane.name, count=refused, wait=seconds)

    # in a thread

    def _serve(self, lane: Lane, connections: list[Connection]) -> None:
        """Answer requests and give their connections back to the loop."""
        together = len(connections)
        if together == 1:
            self._serve_one(lane, connections[0])
        else:
            self._run_together(
                [partial(self._serve_one, lane, each, together) for each in connections]
            )

    def _serve_one(self, lane: Lane, connection: Connection, together: int = 1) -> None:
        """``together`` requests take turns on this thread."""
        connection.thread = threading.get_ident()
        connection.started = time.monotonic()
        connection.may_go_on = False
        try:
            waited = connection.started - connection.received
            if waited > WAITED_SECONDS and connection.has_left():
                connection.discard()
            elif waited > self._answer_seconds and connection.may_be_refused:
                self._refuse_overloaded(connection, lane)
            else:
                connection.may_go_on = self._answer(connection)
                connection.flush()
                lane.took((time.monotonic() - connection.started) / together)
        except OSError:
            connection.discard()
        except (Exception, SystemExit) as error:
            self._answer_fault(connection, error)
        finally:
            connection.started = 0.0
            self.loop.finished(connection)

    def _answer(self, connection: Connection) -> bool:
        """Whether another request may follow on the connection."""
        request = connection.request
        connection.begin_answer()
        response, environ = wsgi.create(
            request, connection, connection.client, connection.server, self.cfg
        )
        environ["wsgi.multithread"] = True
        if isinstance(connection.server, str):  # a socket file; the port would be that of Host
            environ["SERVER_PORT"] = "0"
        environ[RECEIVED] = connection.received
        environ[HOLD] = partial(self._hold, connection, response)
        if request.version == (1, 1) and request.method != "HEAD":
            environ[SEND_WHOLE] = partial(self._send_whole, connection, response)
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False
        if not self.alive:
            response.force_close()
        items = self.wsgi(environ, response.start_response)
        if items is SENT:
            return not response.must_close and is_read_to_the_end(request)
        try:
            for item in items:
                if connection.stream is not None:
                    connection.stream.beginning += len(item)
                response.write(item)
            if connection.stream is not None and not response._omits_body:
                response.send_headers()
                connection.stream.is_chunked = response.chunked
                return True
            response.close()
        except OSError:
            raise
        except Exception:
            if not response.headers_sent:
                raise
            # an error page would be read as part of the answer
            self.log.exception("Error handling request %s", request.path)
            return False
        finally:
            if hasattr(items, "close"):
                items.close()
        return not response.should_close() and is_read_to_the_end(request)

    def _send_whole(
        self,
        connection: Connection,
        response: Any,
        status: str,
        headers: list[tuple[str, str]],
        body: Sequence[bytes | memoryview],
    ) -> list[bytes]:
        if connection.request.should_close():
            response.force_close()
        first = head(status, headers, may_go_on=not response.must_close)
        connection.sendall(first, *body)
        return SENT

    def _hold(self, connection: Connection, response: Any, on_gone: Callable[[], None]) -> Stream:
        """The stream that the answer under way goes on with; nothing else follows it."""
        response.force_close()
        connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, STREAM_KERNEL_BYTES)
        connection.stream = Stream(
            on_gone,
            changed=partial(self.loop.stream_changed, connection),
            unsent=lambda: connection.unsent,
        )
        return connection.stream

    def _answer_fault(self, connection: Connection, error: BaseException) -> None:
        try:
            self.handle_error(
                req=connection.request, client=connection, addr=connection.client, exc=error
            )
            connection.flush()
        except OSError:
            connection.discard()


def _ignore_signals_to_end() -> None:
    """A second one would raise SystemExit in what the end of the process still does."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
