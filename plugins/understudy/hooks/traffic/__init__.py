"""Requests and labels at the gateways: sent to them, and read back."""
