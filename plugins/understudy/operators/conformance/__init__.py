"""The rules that all operators keep, and the kit that checks one."""

from understudy.contract.complaint import Complaint
from understudy.operators.conformance.check import check_operator

__all__ = ["Complaint", "check_operator"]
