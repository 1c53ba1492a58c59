"""Show and mend the outbox: the rows from which SpiceDB follows the ledger."""

SUBCOMMANDS = ("prune",)
