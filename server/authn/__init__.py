"""Gate 1: the raw ``Authorization`` headers of a request become a Principal, or None."""
