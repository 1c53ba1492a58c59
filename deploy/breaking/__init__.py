"""Which edits of the contract break a client: docs/decisions/0030 has the rules and their reasons.

``documents`` reads a file, ``shapes`` says what a schema admits, ``facets``, ``objects`` and
``schemas`` compare two of them, ``operations`` walks all that have one, ``findings`` come out.
"""
