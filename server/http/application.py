"""Flask without what no answer of the contract needs: sessions, signals, virtual hosts.

Each is switched off by a method that Flask has for it. What they cost is in docs/performance.md.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Any

import connexion
import flask
from flask.ctx import RequestContext
from flask.sessions import NullSession, SessionInterface
from werkzeug.routing import MapAdapter

from composer.event_streams import EventStream
from server.gunicorn.environ import HOLD, SEND_WHOLE
from server.http import request_context
from server.http.reply import WITHOUT_BODY, Reply, status_line

LENGTH = "Content-Length"
# A Host header with anything else is refused by Flask's own way.
PLAIN_HOST = re.compile(r"[A-Za-z0-9.-]{1,253}(:[0-9]{1,5})?", re.ASCII)


class _NoSession(SessionInterface):
    """There are no cookies."""

    _session = NullSession()

    def open_session(self, app: flask.Flask, request: flask.Request) -> NullSession:
        return self._session


class ServiceResponse(flask.Response):
    """A response whose header fields are already what is sent, where it has a whole body."""

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        parts = self.response
        is_whole = isinstance(parts, list) and environ["REQUEST_METHOD"] != "HEAD"
        if not is_whole or self.status_code in WITHOUT_BODY or self.status_code < 200:
            return super().__call__(environ, start_response)
        start_response(self.status, list(self.headers))
        return parts  # type: ignore[return-value]


class StreamResponse(ServiceResponse):
    """An answer that a stream goes on with."""

    stream: EventStream  # type: ignore[assignment]  # of werkzeug, where it is a file

    def __call__(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        start_response(self.status, [field for field in self.headers if field[0] != LENGTH])
        return begun(self.stream, environ)


def begun(stream: EventStream, environ: dict[str, Any]) -> Iterable[bytes]:
    """The beginning of a stream, which the server holds where it can; nothing for a HEAD."""
    if environ["REQUEST_METHOD"] == "HEAD":
        return []
    return [stream.begin(environ.get(HOLD))]


def response_of(reply: Reply) -> ServiceResponse:
    """A reply as Flask takes it."""
    headers = [field for field in reply.headers if field[0] != LENGTH]
    kind = ServiceResponse if reply.stream is None else StreamResponse
    response = kind(reply.whole, status=reply.status, headers=headers)
    if isinstance(response, StreamResponse) and reply.stream is not None:
        response.stream = reply.stream
    if not reply.media_type:
        del response.headers["Content-Type"]
    return response


class Application(flask.Flask):
    """The Flask that Connexion's API is registered in."""

    session_interface = _NoSession()
    response_class = ServiceResponse
    # Answers a request without Flask, where it can: None where Flask must.
    without_flask: Callable[[dict[str, Any]], Reply | None] = staticmethod(lambda environ: None)

    def wsgi_app(self, environ: Any, start_response: Any) -> Iterable[bytes]:
        """Flask's own, for what has no shorter way."""
        request_context.begin(environ)
        try:
            reply = self.without_flask(environ)
            if reply is None:
                return super().wsgi_app(environ, start_response)
            send_whole = environ.get(SEND_WHOLE)
            if send_whole is not None and reply.stream is None:
                sent: Iterable[bytes] = send_whole(
                    status_line(reply.status), reply.headers, reply.pieces
                )
                return sent
            start_response(status_line(reply.status), reply.headers)
            return [reply.whole] if reply.stream is None else begun(reply.stream, environ)
        finally:
            request_context.end()

    def request_context(self, environ: Any) -> RequestContext:
        """Flask's own, with the facts of the request beside it."""
        request_context.begin(environ)
        return super().request_context(environ)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """No view is a coroutine."""
        return func

    def create_url_adapter(self, request: flask.Request | None) -> MapAdapter | None:
        """The same map for every host."""
        if request is None:
            return None
        environ = request.environ
        if environ.get("SCRIPT_NAME") or not PLAIN_HOST.fullmatch(environ.get("HTTP_HOST", "")):
            return super().create_url_adapter(request)
        return MapAdapter(
            self.url_map,
            server_name="plexsphere",
            script_name="/",
            subdomain="",
            url_scheme="http",
            path_info=environ["PATH_INFO"].encode("latin-1").decode("utf-8", "replace"),
            default_method=environ["REQUEST_METHOD"],
        )

    def full_dispatch_request(self) -> flask.Response:
        """Flask's own, without signals: nothing listens."""
        try:
            answer = self.preprocess_request()
            if answer is None:
                answer = self.dispatch_request()
        except Exception as error:
            answer = self.handle_user_exception(error)
        return self.finalize_request(answer)


class Front(connexion.FlaskApp):  # type: ignore[misc]
    """Connexion's application around ours."""

    def create_app(self) -> Application:
        """The application without Connexion's converters and JSON encoder, which nothing uses."""
        return Application(self.import_name, **self.server_args)
