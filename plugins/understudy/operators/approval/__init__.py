"""A question to people before a promotion, and their answer."""
