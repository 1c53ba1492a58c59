"""The URLs of the service, where no option and no variable names one: as the settings say."""

from __future__ import annotations

from server.cli.failures import ExitCode, Failure

# Where a service that listens on every address is asked.
_LOOPBACKS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def service_url(url: str) -> str:
    """``url``, or where PLEXSPHERE_BIND says that the service listens.

    Raises Failure for a Unix socket, and SettingsError.
    """
    return url or _url(_binds()[0])


def metrics_url(url: str) -> str:
    """``url``, or where the service answers /metrics: at PLEXSPHERE_INTERNAL_BIND where it is set.

    Raises as ``service_url``.
    """
    return url or _url(next(filter(None, reversed(_binds()))))


def url_of_internal_bind() -> str:
    """Empty where PLEXSPHERE_INTERNAL_BIND is not set in this shell."""
    _, internal = _binds()
    return bound_url(internal) if internal else ""


def bound_url(bind: str) -> str:
    """The URL on this machine of an address that the service listens at; empty for a socket."""
    host, _, port = bind.rpartition(":")
    return "" if bind.startswith("unix:") else f"http://{_LOOPBACKS.get(host, host)}:{port}"


def _url(bind: str) -> str:
    found = bound_url(bind)
    if not found:
        sentence = f"the service listens at {bind}: give --url, of a proxy before it."
        raise Failure(sentence, ExitCode.USAGE)
    return found


def _binds() -> tuple[str, str]:
    from server.settings import read_settings  # late, because it imports the drivers

    settings = read_settings(ledger_only=True)
    return settings.bind, settings.internal_bind
