"""A whole Domain at once."""

SUBCOMMANDS = ("simulate", "status", "history")
