"""What is wrong with an extension of a team."""

from understudy.contract.declared import Fact


class Complaint(Fact):
    """Say which rule an operator or a serving target breaks, how, and what to do."""

    check: str
    problem: str
    way_out: str
