"""The name of an operator in the audit."""

from __future__ import annotations

import os
import pwd
import socket
from pathlib import Path

import pytest

from server.authn.tokens import parse_subject
from server.cli.operators import NOBODY, operator

MACHINE = socket.gethostname()


def test_the_operator_is_the_account_that_logged_in(tmp_path: Path) -> None:
    login = tmp_path / "loginuid"
    other = next(user for user in pwd.getpwall() if user.pw_uid != os.getuid())
    login.write_text(f"{other.pw_uid}\n")
    assert operator(login) == f"operator:{other.pw_name}@{MACHINE}"


@pytest.mark.parametrize("text", [str(NOBODY), "", None], ids=["nobody", "empty", "no such file"])
def test_without_a_login_the_operator_is_the_account_of_the_process(
    tmp_path: Path, text: str | None
) -> None:
    login = tmp_path / "loginuid"
    if text is not None:
        login.write_text(text)
    assert operator(login) == f"operator:{pwd.getpwuid(os.getuid()).pw_name}@{MACHINE}"


def test_an_account_without_a_name_is_its_number(tmp_path: Path) -> None:
    login = tmp_path / "loginuid"
    login.write_text("3999999999")
    assert operator(login) == f"operator:3999999999@{MACHINE}"


def test_no_token_has_an_operator_as_its_subject() -> None:
    assert parse_subject(operator()) is None
