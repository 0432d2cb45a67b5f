"""What may stand in ``model.yaml``: types, defaults, bounds, and plain words for what is wrong."""
