"""Files, downloads and queries as tables, whatever they look like."""
