"""Simulated data with a known price shift and a known bad batch, so that the whole story runs without a network."""
