"""One stage in a container or process of its own: started once, watched, found again, read."""
