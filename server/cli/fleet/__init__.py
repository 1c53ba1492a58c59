"""Commands about all Nodes of a Domain."""

SUBCOMMANDS = ("simulate", "status", "history")
