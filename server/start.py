"""Starts the service, or reports every reason why it cannot: settings, contract and code."""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, NoReturn

from server.flags import COMPLAINED, set_flag
from server.gunicorn.bounds import descriptors_complaint
from server.settings import SettingsError, read_settings, unknown_variables

if TYPE_CHECKING:
    from server.contract.document import Contract
    from server.wiring import Service

# gunicorn's status: its master ends instead of starting the same worker again.
WORKER_BOOT_ERROR = 3

_log = logging.getLogger("plexsphere")


def start() -> Service:
    """The wired service. Ends the process where the checks fail."""
    contract, complaints = _check()
    if complaints:
        refuse_to_start(complaints)
    from server.wiring import wire  # after the checks, because a faulty tree may fail to import

    return wire(read_settings(), contract)


def start_complaints() -> list[str]:
    """One line for each reason why the service cannot start."""
    return _check()[1]


def log_unknown_variables() -> None:
    """Log each variable that looks like a setting and is none."""
    for sentence in unknown_variables():
        _log.warning("setting_unknown", extra={"reason": sentence})


def refuse_to_start(complaints: list[str]) -> NoReturn:
    """Print the complaints to stderr once for all workers, and end this process.

    Only the first worker uses the status that ends the master. With two such workers the master
    would print a traceback.
    """
    if not set_flag(COMPLAINED):
        raise SystemExit(1)
    print("\n".join(complaints), file=sys.stderr, flush=True)
    raise SystemExit(WORKER_BOOT_ERROR)


def error_place(error: BaseException) -> str:
    """``file:line: message`` of an error."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}:{error.offset}: {error.msg}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}: " if trace else ""
    return f"{place}{type(error).__name__}: {error}"


def _check() -> tuple[Contract | None, list[str]]:
    """The contract, which is read and validated here once for the process, and the complaints."""
    contract, complaints = _contract()
    descriptors = descriptors_complaint()
    return contract, [*_settings(), *([descriptors] if descriptors else []), *complaints]


def _settings() -> list[str]:
    try:
        read_settings()
    except SettingsError as error:
        return error.complaints
    return []


def _contract() -> tuple[Contract | None, list[str]]:
    try:
        from handlers import OPERATIONS
        from server.authoring.contract_check import check_contract
        from server.contract.document import packaged_contract
    except Exception as error:  # a handler that does not import
        return None, [error_place(error)]
    return check_contract(packaged_contract(), OPERATIONS)
