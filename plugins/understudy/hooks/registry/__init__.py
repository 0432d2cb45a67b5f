"""MLflow: models registered, fetched, verified."""
