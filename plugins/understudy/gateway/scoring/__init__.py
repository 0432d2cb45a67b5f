"""What runs in a scoring process: one model version, shut off from the network and the disk."""
