"""The cockpit as people use it, in a real browser: one stack for all files, run in the order of their names."""
