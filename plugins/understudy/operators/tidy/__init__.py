"""What runs leave behind, removed."""
