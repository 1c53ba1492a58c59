"""Events: the keys that sign them."""

SUBCOMMANDS = ("kek",)
