"""Events: what a Node is sent, how far behind the stream is, and the keys that sign."""

SUBCOMMANDS = ("show", "lag", "rotate-key", "kek")
