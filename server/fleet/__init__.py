"""A simulated fleet: what plexd does on the wire, many times over."""
