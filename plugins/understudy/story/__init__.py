"""What ``make demo`` shows: the whole story, on a real scheduler, each act checked against registry and ledger."""
