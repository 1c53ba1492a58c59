"""The key sources there are: a file or a URL."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from server.authn.documents import FileDocument
from server.authn.keys import KeySource, OnWarning, unheard
from server.authn.own_keys import OwnKeys, signing_document
from server.authn.refreshing import RefreshingKeys


def key_source(
    setting: str,
    *,
    on_warning: OnWarning = unheard,
    clock: Callable[[], float] = time.monotonic,
) -> KeySource:
    """The source that a setting without a complaint names. Reads nothing until first asked."""
    if "://" in setting:
        return url_keys(setting, on_warning=on_warning, clock=clock)
    return file_keys(Path(setting), on_warning=on_warning, clock=clock)


def own_keys(
    setting: str,
    *,
    on_warning: OnWarning = unheard,
    clock: Callable[[], float] = time.monotonic,
) -> OwnKeys | None:
    """The service's own keys; None where the setting is empty. Reads nothing until first asked."""
    if not setting:
        return None
    return OwnKeys(signing_document(setting), on_warning=on_warning, clock=clock)


def file_keys(
    path: Path,
    *,
    check_interval: float = 1.0,
    on_warning: OnWarning = unheard,
    clock: Callable[[], float] = time.monotonic,
) -> KeySource:
    """Keys from a file, looked at once every ``check_interval`` seconds of use at most."""
    return RefreshingKeys(
        FileDocument(path),
        refresh_interval=check_interval,
        min_interval=check_interval,
        in_background=False,
        clock=clock,
        on_warning=on_warning,
    )


def url_keys(
    url: str,
    *,
    ca: Path | None = None,
    refresh_interval: float = 300.0,
    min_interval: float = 10.0,
    on_warning: OnWarning = unheard,
    clock: Callable[[], float] = time.monotonic,
) -> KeySource:
    """Keys from a URL, fetched anew every ``refresh_interval`` s and for unknown kids."""
    from server.authn.url_document import UrlDocument

    return RefreshingKeys(
        UrlDocument(url, ca),
        refresh_interval=refresh_interval,
        min_interval=min_interval,
        in_background=True,
        clock=clock,
        on_warning=on_warning,
    )
