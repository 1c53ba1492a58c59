"""A simulated fleet: agents that send what plexd sends, many at a time."""
