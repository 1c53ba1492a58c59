"""The snapshot: its values, ports and pipeline. Standard library only, no I/O, no clock."""
