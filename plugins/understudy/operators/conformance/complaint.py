"""What is wrong with an operator."""

from understudy.contract.declared import Fact


class Complaint(Fact):
    """Say which rule an operator breaks, how, and what to do."""

    check: str
    problem: str
    way_out: str
