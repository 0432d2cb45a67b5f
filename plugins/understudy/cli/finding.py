"""What `understudy doctor` tells about one thing."""

from understudy.contract.declared import Fact
from understudy.contract.words import Word


class Severity(Word):
    """Say whether something must be done."""

    FINE = "fine"
    NOTE = "note"
    BROKEN = "broken"


class Finding(Fact):
    """What was found about one thing, and what to do if it is wrong."""

    about: str
    severity: Severity
    found: str
    way_out: str = ""
