"""What ``make demo`` shows, the whole story with each act checked, and the bad model that ``make practice`` leaves."""
