"""Lint what runs the service elsewhere, with the tools of those who read it.

    python -m deploy.lint_deploy.lint

- the rules of Prometheus and their tests, and the queries of the dashboard: promtool;
- the Helm chart: helm lint, yamllint and kubernetes-validate on what it renders, in several forms;
- the examples of nginx and Caddy: nginx and caddy themselves.

promtool and nginx come from Debian's packages where they are missing, unpacked below .dev; helm is
built by go; caddy is in requirements-tools.lock. Exit code 0 when there is nothing to say, 1 for
faults, 2 when a tool cannot be had.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
FOLDER = ROOT / ".dev" / "lint-deploy"
PACKAGES = ROOT / ".dev" / "tools"  # of requirements-tools.lock
CHART = DEPLOY / "helm" / "plexsphere-state"
HELM = "helm.sh/helm/v3/cmd/helm@v3.18.4"
KUBERNETES = "1.30.0"
# The chart as it is, and with all that can be switched.
FORMS: dict[str, Sequence[str]] = {
    "defaults": (),
    "switched": (
        *("--set", "autoscaling.enabled=false", "--set", "networkPolicy.enabled=false"),
        *("--set", "migration.enabled=false", "--set", "image.digest=sha256:0"),
        *("--set", "imagePullSecrets[0].name=pull", "--set", "nodeSelector.disk=fast"),
    ),
    "named peers": (
        *("--set", "migration.ownerSecret=owner", "--set", "podAnnotations.team=mesh"),
        *("--set", "networkPolicy.agents[0].ipBlock.cidr=10.0.0.0/8"),
        *("--set", "networkPolicy.postgres.to[0].ipBlock.cidr=10.1.0.1/32"),
        *("--set", "tolerations[0].operator=Exists"),
    ),
}


class Unable(Exception):
    """A tool is not to be had."""


def main() -> int:
    """Run every tool, print what each says."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    try:
        faults = [fault for check in (prometheus, chart, nginx, caddy) for fault in check()]
    except Unable as reason:
        print(f"plexsphere-state: {reason}", file=sys.stderr)
        return 2
    print("\n".join(faults) or "deploy: no faults")
    return 1 if faults else 0


def prometheus() -> Iterator[str]:
    """The rules, their tests, and the queries of the dashboard as rules."""
    promtool = debian("prometheus", "usr/bin/promtool")
    rules = DEPLOY / "prometheus"
    yield from faults_of("rules.yml", promtool, "check", "rules", rules / "rules.yml")
    yield from faults_of("rules_test.yml", promtool, "test", "rules", rules / "rules_test.yml")
    with tempfile.NamedTemporaryFile("w", suffix=".json", dir=FOLDER) as file:
        recorded = [
            {"record": f"panel:{number}", "expr": query} for number, query in enumerate(queries())
        ]
        json.dump({"groups": [{"name": "dashboard", "rules": recorded}]}, file)
        file.flush()
        yield from faults_of("dashboard.json", promtool, "check", "rules", file.name)


def queries() -> list[str]:
    """The queries of the dashboard, with a value for each variable."""
    values = {"$__rate_interval": "5m", "$job": "plexsphere-state", "$instance": ".*"}
    dashboard = json.loads((DEPLOY / "grafana" / "dashboard.json").read_text())
    found = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    return [re.sub(r"\$\w+", lambda match: values[match[0]], query) for query in found]


def chart() -> Iterator[str]:
    """The chart, linted and rendered in each form."""
    helm = built_by_go("helm", HELM)
    yield from faults_of("chart", helm, "lint", "--strict", "--kube-version", KUBERNETES, CHART)
    for form, options in FORMS.items():
        rendered = FOLDER / f"{form.replace(' ', '-')}.yaml"
        render = [helm, "template", "example", CHART, "--kube-version", KUBERNETES, *options]
        done = run(*render)
        if done.returncode:
            yield f"chart, {form}: {done.stderr.strip()}"
            continue
        rendered.write_text(done.stdout)
        yield from faults_of(
            f"chart, {form}", *module("yamllint"), "--strict", "-c", STYLE, rendered
        )
        version = KUBERNETES.rpartition(".")[0]
        validate = (*module("kubernetes_validate"), "--strict", "-k", version, rendered)
        yield from faults_of(f"chart, {form}", *validate)


STYLE = DEPLOY / "lint_deploy" / "yamllint.yaml"


def nginx() -> Iterator[str]:
    """The examples, with a certificate made here in place of the operator's."""
    program = debian("nginx", "usr/sbin/nginx")
    certificate, key = FOLDER / "tls.pem", FOLDER / "tls.key"
    subject = ("-subj", "/CN=state.example", "-days", "1", "-nodes")
    request = ("openssl", "req", "-x509", "-newkey", "ed25519", *subject)
    run(*request, "-keyout", key, "-out", certificate)
    text = (DEPLOY / "nginx" / "plexsphere-state.conf").read_text()
    text = re.sub(r"(ssl_certificate) [^;]+;", rf"\1 {certificate};", text)
    text = re.sub(r"(ssl_certificate_key) [^;]+;", rf"\1 {key};", text)
    below = f"server {{ include {DEPLOY / 'nginx' / 'below-a-path.conf'}; }}"
    whole = FOLDER / "nginx.conf"
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    folders = "".join(f"{kind}_temp_path {FOLDER}/nginx-{kind};\n" for kind in kinds)
    whole.write_text(
        f"pid {FOLDER}/nginx.pid;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{folders}{text}\n{below}\n}}\n"
    )
    yield from faults_of("nginx", program, "-t", "-q", "-p", FOLDER, "-e", "stderr", "-c", whole)


def caddy() -> Iterator[str]:
    """The examples, with every module that they name."""
    program = PACKAGES / "bin" / "caddy"
    for example in sorted((DEPLOY / "caddy").iterdir()):
        validate = ("validate", "--adapter", "caddyfile", "--config", example)
        yield from faults_of(example.name, program, *validate)
        yield from faults_of(f"{example.name}, format", program, "fmt", "--diff", example)


def faults_of(subject: str, *command: object) -> Iterator[str]:
    """The output of a tool that finds a fault."""
    done = run(*command)
    if done.returncode:
        yield f"{subject}: {(done.stdout + done.stderr).strip()}"


def run(*command: object) -> subprocess.CompletedProcess[str]:
    """A tool, with the packages of the lock file."""
    env = {**os.environ, "PYTHONPATH": str(PACKAGES)}
    return subprocess.run([*map(str, command)], env=env, capture_output=True, text=True)


def module(name: str) -> tuple[object, ...]:
    """A tool written in Python."""
    return sys.executable, "-m", name


def debian(package: str, program: str) -> Path:
    """A program of this machine, or of Debian's package, unpacked and not installed."""
    if found := shutil.which(Path(program).name):
        return Path(found)
    unpacked = FOLDER / package
    if not (unpacked / program).is_file():
        if not shutil.which("apt-get"):
            raise Unable(f"install {package}: {Path(program).name} is not on the PATH.")
        FOLDER.mkdir(parents=True, exist_ok=True)
        fetch = ["apt-get", "download", "-q", package]
        done = subprocess.run(fetch, cwd=FOLDER, capture_output=True, text=True)
        if done.returncode:
            raise Unable(f"{package} is not to be had ({done.stderr.strip()}): run apt-get update.")
        for file in FOLDER.glob(f"{package}_*.deb"):
            run("dpkg-deb", "--extract", file, unpacked)
            file.unlink()
    return unpacked / program


def built_by_go(name: str, source: str) -> Path:
    """A program of this machine, or built from a module of Go."""
    if found := shutil.which(name):
        return Path(found)
    built = FOLDER / "bin" / name
    if not built.is_file():
        if not shutil.which("go"):
            raise Unable(f"install {name}, or go to build it.")
        env = {**os.environ, "GOBIN": str(built.parent), "GOFLAGS": "-mod=mod"}
        done = subprocess.run(["go", "install", source], env=env, capture_output=True, text=True)
        if done.returncode:
            raise Unable(f"go cannot build {source}: {done.stderr.strip()}")
    return built


if __name__ == "__main__":
    sys.exit(main())
