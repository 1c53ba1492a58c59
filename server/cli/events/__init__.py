"""Events: what a Node is sent, how far behind the stream is, and the keys that sign.

"events NODE --follow" is "events show NODE --follow".
"""

SUBCOMMANDS = ("show", "lag", "rotate-key", "kek", "re-encrypt")
WITHOUT_NAME = "show"
