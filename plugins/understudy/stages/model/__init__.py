"""A model from its declaration to its files and back: features, fit, storage, scoring."""
