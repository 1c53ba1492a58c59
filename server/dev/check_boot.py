"""`python -m server.dev.check_boot`: whether this tree boots; a complaint a line on stdout."""

import atexit
import gc
import sys

from server.start import error_place, start_complaints


def main() -> int:
    """0 when the contract and the code fit and the application can be built."""
    atexit.register(gc.freeze)  # as the console script
    complaints = start_complaints()
    if complaints:
        return _print(complaints)
    try:
        import wsgi

        wsgi.service.close()
    except Exception as error:
        return _print([error_place(error)])
    return 0


def _print(complaints: list[str]) -> int:
    for line in complaints:
        print(line)
    return 1


if __name__ == "__main__":
    sys.exit(main())
