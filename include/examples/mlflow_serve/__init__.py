"""Serve models by plain ``mlflow models serve`` processes behind a small switch: an example of a serving target."""
