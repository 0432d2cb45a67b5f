"""How a stage speaks: every log line carries its level, which the runner hands on to Airflow."""

import io
import logging
import sys

from understudy.contract.entry_point import mark


class _Marked(logging.Formatter):
    """Mark each line, those of a traceback included."""

    def format(self, record: logging.LogRecord) -> str:
        return mark(record.levelno, super().format(record))


class _WholeLines(io.TextIOWrapper):
    """End a line where a progress bar returns the carriage: engines keep a line back until it ends."""

    def write(self, text: str, /) -> int:
        if "\r" in text:
            text = text.replace("\r\n", "\n").replace("\r", "\n").strip("\n") + "\n"
        return super().write(text)


def _whole_lines(descriptor: int) -> io.TextIOWrapper:
    raw = open(descriptor, "wb", buffering=0, closefd=False)  # noqa: SIM115 - lives as long as the process
    return _WholeLines(raw, encoding="utf-8", errors="backslashreplace", write_through=True)


def start_speaking() -> None:
    """Send the log and warnings to the standard error, marked, and everything else line by line."""
    sys.stdout, sys.stderr = _whole_lines(1), _whole_lines(2)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Marked("%(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    logging.captureWarnings(capture=True)
