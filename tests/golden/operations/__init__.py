"""The one table of every operation: who is answered what, in which world; README.md says how."""
