"""Who gives a command: what the audit calls somebody who comes with a shell instead of a token."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

# Who logged in, by the kernel: it stays through su and sudo. This number says that nobody did.
LOGIN = Path("/proc/self/loginuid")
NOBODY = 2**32 - 1


def operator(login: Path = LOGIN) -> str:
    """``operator:<account>@<machine>``, by this machine's word; no token can say so (claims.py).

    Whoever has the ledger's password may run the command as any account of any machine.
    """
    return f"operator:{_account(_login_uid(login))}@{socket.gethostname()}"


def _login_uid(login: Path) -> int:
    try:
        uid = int(login.read_text())
    except (OSError, ValueError):
        uid = NOBODY
    return os.getuid() if uid == NOBODY else uid


def _account(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:  # in a container the user is often a number alone
        return str(uid)
