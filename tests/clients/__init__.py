"""Clients generated from the contract: each calls every operation and decodes every answer.

``answers`` has the requests and the recorded answers, ``proxy`` serves them, ``generators`` makes
the clients. A driver of each client calls what ``proxy`` serves. `make clients` prints the table.
"""
