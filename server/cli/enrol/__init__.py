"""Enrolment: tokens with which agents register their own Nodes."""

SUBCOMMANDS = ("token",)
