"""Credentials of a Node, given and ended by an operator with access to the ledger."""

SUBCOMMANDS = ("rotate", "revoke")
