"""Each client: its generator in a pinned version, and its driver."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.client import EVENT_STREAM, ask
from tests.clients.answers import DECLARED, Answer, Case
from tests.clients.frames import events
from tests.event_client import held_stream
from tests.good_requests import filled

HERE = Path(__file__).resolve().parent
CONTRACT = HERE.parents[1] / "api" / "plexsphere-v1.yaml"
PACKAGES = HERE.parents[1] / ".dev" / "client-packages"  # of requirements-clients.lock
OPENAPI_GENERATOR = "org.openapitools:openapi-generator-cli:7.17.0"
OAPI_CODEGEN = "github.com/oapi-codegen/oapi-codegen/v2/cmd/oapi-codegen@v2.8.2"

# An error for each case, None where its answer was decoded.
Errors = Sequence[str | None]
Driver = Callable[[Path, Sequence[Case], str], Errors]


class Failed(Exception):
    """A generator or a compiler failed; the message is its last lines."""


def run(command: Sequence[str], folder: Path, **environ: str) -> str:
    """The output of a command. Raises Failed."""
    found = subprocess.run(
        [*command], cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True
    )
    if found.returncode:
        lines = (found.stdout + found.stderr).strip().splitlines()
        raise Failed(f"{command[0]}: " + " | ".join(lines[-4:]))
    return found.stdout


def openapi_python_client(folder: Path, cases: Sequence[Case], url: str) -> Errors:
    """openapi-python-client, of requirements-clients.lock."""
    command = [sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"]
    output = ["--path", str(CONTRACT), "--output-path", str(folder / "generated")]
    run([*command, *output], folder, PYTHONPATH=str(PACKAGES))
    return _driven([sys.executable, str(HERE / "openapi_python_client.py")], folder, cases, url)


def openapi_generator_python(folder: Path, cases: Sequence[Case], url: str) -> Errors:
    """openapi-generator's Python client."""
    _openapi_generator(folder, "python")
    return _driven([sys.executable, str(HERE / "openapi_generator.py")], folder, cases, url)


def openapi_generator_go(folder: Path, cases: Sequence[Case], url: str) -> Errors:
    """openapi-generator's Go client."""
    _openapi_generator(folder / "generated", "go", "--additional-properties=packageName=generated")
    for name in ("go.mod", "go.sum", "test"):
        path = folder / "generated" / name
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    return _go(folder, "openapi_generator.go.txt", cases, url)


def oapi_codegen(folder: Path, cases: Sequence[Case], url: str) -> Errors:
    """oapi-codegen's client."""
    (folder / "generated").mkdir()
    run(["go", "install", OAPI_CODEGEN], folder, GOBIN=str(folder / "bin"))
    command = [str(folder / "bin" / "oapi-codegen"), "-package", "generated"]
    output = folder / "generated" / "client.go"
    run([*command, "-generate", "types,client", "-o", str(output), str(CONTRACT)], folder)
    return _go(folder, "oapi_codegen.go.txt", cases, url)


def agent(folder: Path, cases: Sequence[Case], url: str) -> Errors:
    """Today's agent: no generator, its own wire."""
    return _go(folder, "agent.go.txt", cases, url)


def openapi_typescript(folder: Path, cases: Sequence[Case], url: str) -> Errors:
    """openapi-typescript: the compiler, strict, holds every answer against its type."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, folder)
    run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], folder)
    run(["npx", "--no-install", "openapi-typescript", str(CONTRACT), "-o", "contract.d.ts"], folder)
    answers = [case.answer or _fetched(case, number, url) for number, case in enumerate(cases)]
    lines = ['import type { components, operations } from "./contract";']
    for number, (case, answer) in enumerate(zip(cases, answers, strict=True)):
        media = answer.media_type.partition(";")[0]
        kind = f'operations["{case.operation}"]["responses"][{answer.status}]'
        value = answer.body.decode()
        if case.events:
            kind, frames = 'components["schemas"]["NodeEvent"][]', value.splitlines()
            values = [envelope for _, envelope in events(frames, case.events)]
            value = json.dumps(values)
        elif media.endswith("json"):
            kind = f'{kind}["content"]["{media}"]'
        else:
            value = "undefined as never"
        lines.append(f"export const answer{number}: {kind} = {value};")
    (folder / "answers.ts").write_text("\n".join(lines))
    command = ["npx", "--no-install", "tsc", "--strict", "--noEmit", "--skipLibCheck", "answers.ts"]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    errors: list[str | None] = [None] * len(cases)
    for line in found.stdout.splitlines():
        if line.startswith("answers.ts("):
            errors[int(line[11:].partition(",")[0]) - 2] = line.partition(": ")[2]
    if found.returncode and not any(errors):
        raise Failed(found.stdout[-300:])
    return errors


def _fetched(case: Case, number: int, url: str) -> Any:
    operation = DECLARED[case.operation]
    if case.events:
        with held_stream(f"{url}/{number}", case.parameters["id"], {}) as stream:
            frames = [stream.event() for _ in range(case.events)]
        body = "".join(f"event: {frame.event}\ndata: {frame.data.decode()}\n" for frame in frames)
        return Answer(200, EVENT_STREAM, body.encode())
    body = None if case.body is None else json.dumps(case.body).encode()
    headers = {"Content-Type": "application/json"} if body else {}
    path = f"/{number}{filled(operation.path, case.parameters)}"
    reply = ask(url, path, headers, method=operation.method, body=body)
    return Answer(reply.status, reply.headers.get("content-type", ""), reply.body)


AGENT = "agent's wire"
# Those that today's agent calls. It renews a token where it has no node secret key.
OF_AN_AGENT = (
    *("GetNodeState", "GetNodeEvents", "GetNodeReachability", "PostNodeHeartbeat", "PostRegister"),
    *("PutNodeStateReport", "DeleteNodeStateReport", "RotateNodeKey", "RenewNodeToken"),
)
CLIENTS: Mapping[str, tuple[Driver, tuple[str, ...]]] = {
    AGENT: (agent, ("go",)),
    "openapi-python-client": (openapi_python_client, ()),
    "openapi-typescript": (openapi_typescript, ("npm",)),
    "openapi-generator-python": (openapi_generator_python, ("java", "mvn")),
    "openapi-generator-go": (openapi_generator_go, ("java", "mvn", "go")),
    "oapi-codegen": (oapi_codegen, ("go",)),
}


def _openapi_generator(folder: Path, kind: str, *options: str) -> None:
    folder.mkdir(exist_ok=True)
    coordinates = [f"-Dartifact={OPENAPI_GENERATOR}", f"-DoutputDirectory={folder.parent}/jar"]
    run(["mvn", "-q", "dependency:copy", *coordinates], folder)
    (jar,) = (folder.parent / "jar").glob("*.jar")
    command = ["java", "-jar", str(jar), "generate", "-i", str(CONTRACT), "-g", kind]
    run([*command, "-o", str(folder), *options], folder)


def _go(folder: Path, driver: str, cases: Sequence[Case], url: str) -> Errors:
    shutil.copy(HERE / driver, folder / "main.go")
    shutil.copy(HERE / "driver.go.txt", folder / "driver.go")
    run(["go", "mod", "init", "clients"], folder)
    run(["go", "mod", "tidy"], folder)
    run(["go", "build", "-o", "client", "."], folder)
    return _driven([str(folder / "client")], folder, cases, url)


def _driven(command: Sequence[str], folder: Path, cases: Sequence[Case], url: str) -> Errors:
    (folder / "cases.json").write_text(json.dumps(list(_described(cases, url))))
    output = run([*command, "cases.json"], folder, PYTHONPATH=f"{folder}:{PACKAGES}")
    found = [json.loads(line) for line in output.splitlines()]
    return [line["error"] for line in sorted(found, key=lambda line: line["case"])]


def _described(cases: Sequence[Case], url: str) -> Iterator[dict[str, Any]]:
    for number, case in enumerate(cases):
        answer = case.answer
        yield {
            "operation": case.operation,
            "method": DECLARED[case.operation].method,
            "path": filled(DECLARED[case.operation].path, case.parameters),
            "url": f"{url}/{number}",
            "parameters": case.parameters,
            "values": list(case.parameters.values()),
            "body": case.body,
            # a live case answers with a body, but for a 204
            "has_body": bool(answer.body) if answer else case.has_live_body,
            "events": case.events,
            "is_json": answer.media_type.endswith("json") if answer else case.is_live_json,
        }
