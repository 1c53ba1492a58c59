"""What a snapshot *is*: values, ports and the pipeline. Standard library only, no I/O, no clock."""
