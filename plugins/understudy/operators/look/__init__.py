"""A look at a champion: rows collected, drift and quality measured, a retraining asked for where one is due."""
