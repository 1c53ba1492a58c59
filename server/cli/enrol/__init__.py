"""Enrolment: tokens with which agents register their own Nodes, and the files that agents keep."""

SUBCOMMANDS = ("token", "files")
