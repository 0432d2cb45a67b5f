"""The outside world, one system a file. Only hooks change it."""
