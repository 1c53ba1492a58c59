"""Edits of the contract that break a client: docs/decisions/0030 has the rules and their reasons.

``documents`` reads a file, ``shapes`` says what a schema admits, ``schemas`` compares two of them,
``operations``, ``requests``, ``responses`` and ``content`` find all pairs of schemas, and
``findings`` are the result.
"""
