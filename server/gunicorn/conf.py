"""gunicorn's settings, all of them here (docs/design.md, Library facts)."""

import gc
import os
import sys

import authzed.api.v1
import connexion
import jsonschema_rs

from server.gunicorn.metrics_folder import heartbeat_folder, metrics_folder
from server.settings import (
    METRICS_FOLDER,
    SettingsError,
    metrics_directory,
    read_settings,
    share_metrics,
)
from server.start import log_unknown_variables, refuse_to_start, start_complaints

try:
    _settings = read_settings()
except SettingsError:
    refuse_to_start(start_complaints())

OURS = ("api", "composer", "db", "handlers", "server", "wsgi")
# Two thirds of what a worker imports, imported before any is forked: each comes up in half the time
# and shares the pages. Nothing of them runs by that; ours, a worker imports anew.
_preloaded = (authzed.api.v1, connexion, jsonschema_rs)
# No collection passes over them again, not even those at the end of each process.
gc.freeze()

bind = [address for address in (_settings.bind, _settings.internal_bind) if address]
workers = _settings.workers
worker_class = "server.gunicorn.worker.Worker"
threads = _settings.threads
# An idle keep-alive connection counts; agents keep one each, and 1,000 is the default.
worker_connections = _settings.bounds.connections
# Longer than an agent's 60 s tick, so that a pull finds its connection open.
keepalive = 75
# A second stack on the machine would meet this one there.
control_socket_disable = True
# With it a reload loses connections that wait in the dying worker's queue.
reuse_port = False
# The listener's queue; a fleet without jitter arrives at once.
backlog = 4096
# Requests in flight get this long after SIGTERM; audit rows are flushed behind them.
graceful_timeout = 10
# gthread workers notify from their main loop: this ends a worker whose loop hangs.
timeout = 30
# The sizes the service answers for; above them gunicorn answers by itself (414, 431), as it does
# to what is no HTTP (400), an unknown `Expect` (417) and an unknown `Transfer-Encoding` (501).
limit_request_line = 8_190
limit_request_fields = 100
limit_request_field_size = 8_190
# No header of a client's names our paths or our scheme, whoever sends it: gunicorn would let a
# SCRIPT_NAME from loopback rewrite the routing.
forwarder_headers = ""
secure_scheme_headers = {}  # type: ignore[var-annotated]
worker_tmp_dir = heartbeat_folder()
accesslog = None
logger_class = "server.gunicorn.logs.PipelineLogger"
proc_name = "plexsphere-state"

# Made once and kept over reloads, which read this file again: counts go on.
_metrics = metrics_directory() or ""
if METRICS_FOLDER not in _metrics:
    _metrics = metrics_folder(METRICS_FOLDER)
    share_metrics(_metrics)


def on_starting(server):  # type: ignore[no-untyped-def]
    """gunicorn makes its own master; from here on it is one that no broken file ends."""
    from server.gunicorn.arbiter import PatientArbiter
    from server.telemetry.dead_workers import DeadWorkers, reserve_sums

    server.__class__ = PatientArbiter
    # Made now, because later the tree may be one that cannot be imported.
    server.dead_workers = DeadWorkers(_metrics, server.log.warning)
    try:
        reserve_sums(_metrics)
    except OSError as error:  # tried again when a worker ends
        server.log.warning("no room for the metrics of workers that end: %s", error)


def pre_fork(server, worker):  # type: ignore[no-untyped-def]
    """Only a worker that no other has served before ends the master where it does not start."""
    worker.is_first = not server.has_served()


def post_fork(server, worker):  # type: ignore[no-untyped-def]
    """Read one release, even where the next one is put into its place while this worker starts.

    What the master has imported is of the release before, or a link that may lead elsewhere soon.
    """
    sys.path[:] = map(os.path.realpath, sys.path)
    for name in list(sys.modules):
        if name.partition(".")[0] in OURS and name != __name__:
            del sys.modules[name]
    # Importing the application makes nothing but long-lived objects: collecting waits for that.
    gc.disable()


def post_worker_init(worker):  # type: ignore[no-untyped-def]
    """Log the receipt and unknown variables at boot, once for all workers, which are alike."""
    gc.freeze()
    gc.enable()
    wsgi = sys.modules.get("wsgi")
    if wsgi is not None:  # a test's application has none
        worker.count_overloaded = wsgi.service.count_overloaded
        wsgi.service.watch(lambda: worker.lanes)
        wsgi.service.start()
        if worker.age == 1:
            wsgi.service.receipt.log()
            log_unknown_variables()


def child_exit(server, worker):  # type: ignore[no-untyped-def]
    """Forget a dead worker's gauges; its counts stay."""
    server.dead_workers.ended(worker.pid, server.WORKERS)


def worker_exit(server, worker):  # type: ignore[no-untyped-def]
    """Flush what the worker still holds: audit rows. One that did not start holds nothing."""
    wsgi = sys.modules.get("wsgi")
    if wsgi is not None:
        wsgi.service.close()
