"""Windows of data: found at their source, versioned by their hash, restored anywhere."""
