"""Gate 1: from the raw ``Authorization`` headers of a request to a Principal, or to nobody."""
