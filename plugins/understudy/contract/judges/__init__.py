"""The verdicts: pure functions of what was measured and what was declared."""
