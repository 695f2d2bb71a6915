"""Label files -> statistics -> findings: list, decode, count, fold, judge."""
