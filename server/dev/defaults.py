"""The defaults of ``make run`` and ``plexsphere-state dev``."""

PORT = 8080
NODES = 64
SEED = 1
HISTORY = 0
