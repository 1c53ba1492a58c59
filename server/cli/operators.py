"""The name in the audit of a person who works with a shell instead of a token."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

from composer.audit import AuditedWrite

# The uid that logged in, kept by the kernel through su and sudo; NOBODY where no user logged in.
LOGIN = Path("/proc/self/loginuid")
NOBODY = 2**32 - 1


def operator(login: Path = LOGIN) -> str:
    """``operator:<account>@<machine>``, which no token can have as its subject.

    It is not proven: a person with the ledger's password can use any account of any machine.
    """
    return f"operator:{_account(_login_uid(login))}@{socket.gethostname()}"


def operator_write(relation: str) -> AuditedWrite:
    """The audit row of a write by this command."""
    return AuditedWrite(relation, relation, operator(), correlation_id="")


def _login_uid(login: Path) -> int:
    try:
        uid = int(login.read_text())
    except (OSError, ValueError):
        uid = NOBODY
    return os.getuid() if uid == NOBODY else uid


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container the user often has no name
        return str(uid)
