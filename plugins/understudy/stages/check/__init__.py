"""What is asked of a window before anything is trained on it."""
