"""The rollback drill: a bad model on purpose, found out and taken back on the real gateways."""
