"""Models on the same rows: metrics, intervals, slices, and what they cost."""
