"""gunicorn's own lines through our pipeline."""

from __future__ import annotations

import logging
from typing import Any

from gunicorn.glogging import Logger

from server.settings import read_settings
from server.telemetry.logs import configure


class PipelineLogger(Logger):  # type: ignore[misc]
    """gunicorn's logger without handlers of its own: its lines propagate to the root's."""

    def setup(self, cfg: Any) -> None:
        """Replace gunicorn's formatters by ours."""
        settings = read_settings()
        configure(
            settings.log_format,
            settings.log_level,
            queue=settings.log_queue,
            repeats=settings.log_repeats,
        )
        for logger in (self.error_log, self.access_log):
            logger.handlers[:] = []
            logger.propagate = True
            logger.setLevel(logging.INFO)
