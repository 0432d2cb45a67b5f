"""The ledger: every decision, who made it and why, append-only and hash-chained."""
