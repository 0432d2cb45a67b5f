"""Where a stage runs: one protocol, one file for each place."""
