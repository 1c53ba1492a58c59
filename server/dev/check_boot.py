"""`python -m server.dev.check_boot`: would this tree boot? Complaints on stdout, one a line."""

import sys
from pathlib import Path


def main() -> int:
    """0 when the contract and the code fit and the application can be built."""
    from server.contract import CONTRACT_FILE
    from server.contract_check import contract_complaints

    try:
        from handlers import OPERATIONS
    except Exception as error:
        return _tell([_whereabouts(error)])
    root = Path(__file__).resolve().parents[2]
    complaints = contract_complaints((root / "api" / CONTRACT_FILE).read_bytes(), OPERATIONS)
    if complaints:
        return _tell(complaints)
    try:
        import wsgi

        wsgi.service.close()
    except Exception as error:
        return _tell([_whereabouts(error)])
    return 0


def _tell(complaints: list[str]) -> int:
    for line in complaints:
        print(line)
    return 1


def _whereabouts(error: Exception) -> str:
    """``file:line: what``, for an error of an import."""
    if isinstance(error, SyntaxError):
        return f"{error.filename}:{error.lineno}:{error.offset}: {error.msg}"
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    place = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}: " if trace else ""
    return f"{place}{type(error).__name__}: {error}"


if __name__ == "__main__":
    sys.exit(main())
