"""The evaluation as a page that a person can read: one file, no external assets."""
