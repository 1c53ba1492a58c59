"""Events: how far the stream is behind the ledger, and the keys that sign them."""

SUBCOMMANDS = ("lag", "rotate-key", "kek")
