"""The rules that all operators keep, and the kit that checks one."""

from understudy.operators.conformance.check import check_operator
from understudy.operators.conformance.complaint import Complaint

__all__ = ["Complaint", "check_operator"]
