"""Understudy retrains models and keeps bad ones out of production."""

__version__ = "0.1.0"
