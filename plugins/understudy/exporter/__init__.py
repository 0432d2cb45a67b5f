"""What the ledger and the declarations say of all models, for Prometheus; it reads only."""
