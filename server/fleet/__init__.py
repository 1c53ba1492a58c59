"""A simulated fleet: what plexd does on the wire, many times over (contract.md 3.4 and 7)."""
