"""What people are told of, under which key, and how often at the most."""
