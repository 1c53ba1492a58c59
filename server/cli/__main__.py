"""``python -m server.cli``: the console script where none is installed."""

from server.cli import main

if __name__ == "__main__":
    main()
