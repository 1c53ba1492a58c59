"""Running Postgres for root: it refuses to run as root, and a clone may be root's alone."""

import os
import pwd
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .process import StackError

# initdb and postgres look their user up, so it must have a passwd entry.
USERS = ("nobody", "daemon")


@dataclass(frozen=True, slots=True)
class Identity:
    """Who a child runs as; `prefix` goes before its command line."""

    uid: int
    gid: int
    prefix: tuple[str, ...]

    def own(self, path: Path) -> None:
        os.chown(path, self.uid, self.gid)


def identity_for(paths: Iterable[Path], death_signal: str) -> Identity:
    """Of this very user, or under root of an unprivileged one that can reach all `paths`."""
    if os.geteuid() != 0:
        return Identity(os.geteuid(), os.getegid(), ())
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise StackError("setpriv (of util-linux) is needed to run Postgres under root.")
    user = _unprivileged_user()
    prefix = [
        setpriv,
        f"--reuid={user.pw_uid}",
        f"--regid={user.pw_gid}",
        "--clear-groups",
        # Changing the uid makes the kernel forget what the child should get when we die.
        f"--pdeathsig={death_signal}",
    ]
    if not all(_open_to_others(path) for path in paths):
        # The clone lies below a folder like root's own home. Opening that folder to others would
        # be a change outside the clone, so the child keeps the one capability that walks past it.
        # access(2) drops capabilities of a non-root user unless no_setuid_fixup is set, and both
        # initdb and postgres ask access(2) about their own binary.
        prefix += [
            "--inh-caps=+dac_override",
            "--ambient-caps=+dac_override",
            "--securebits=+no_setuid_fixup",
        ]
    return Identity(user.pw_uid, user.pw_gid, tuple(prefix))


def _unprivileged_user() -> pwd.struct_passwd:
    for name in USERS:
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise StackError("a passwd entry for the user nobody is needed to run Postgres under root.")


def _open_to_others(path: Path) -> bool:
    """Whether every folder on the way can be walked by anyone, and the path itself read."""
    path = path.resolve()
    way = all(parent.stat().st_mode & stat.S_IXOTH for parent in path.parents)
    mode = path.stat().st_mode
    return way and bool(mode & stat.S_IROTH) and (path.is_file() or bool(mode & stat.S_IXOTH))
