"""What nobody has told: decisions of tasks that died, and runs that broke before they said a word."""
