"""A model's past, walked again as tasks of a run."""
