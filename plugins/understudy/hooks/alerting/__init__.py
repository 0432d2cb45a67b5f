"""Who is told what, once: from the ledger's entries and the state of things to the receivers."""
