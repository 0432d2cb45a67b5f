"""Free text as it may stand in a line: it begins no other line, and orders nothing of a terminal or a mail server."""


def printable_line(text: str) -> str:
    """Put a space for every sign that shows nothing: ends of lines, control codes, turns of the reading direction."""
    return text if text.isprintable() else "".join(sign if sign.isprintable() else " " for sign in text)
