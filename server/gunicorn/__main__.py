"""gunicorn as ``plexsphere-state serve`` starts it: ``python -I -m server.gunicorn``."""

import sys

from gunicorn.app.wsgiapp import WSGIApplication


class ServiceApplication(WSGIApplication):  # type: ignore[misc]  # gunicorn has no types
    """Imports what is installed, and nothing from the folder of the start."""

    def chdir(self) -> None:
        """gunicorn's own puts the current folder first in the import path."""


if __name__ == "__main__":
    sys.argv[1:] = ["-c", "python:server.gunicorn.conf", "wsgi:application"]
    ServiceApplication(prog="gunicorn").run()
