"""Who decides, why, and in which run: what every entry of the ledger says of its decision."""

from pydantic import field_validator

from understudy.contract.airflow_run import AirflowRun
from understudy.contract.declared import Fact


class By(Fact):
    """Name who decides, the reason, and the run, where a run does it."""

    actor: str
    reason: str
    run: str | None = None
    airflow: AirflowRun | None = None
    """The run's name in Airflow, where no other entry of the run has it, so that the decision's card can lead there."""

    @field_validator("reason")
    @classmethod
    def _without_blanks_around_it(cls, reason: str) -> str:
        return reason.strip()

    @property
    def airflow_facts(self) -> dict[str, str]:
        """Give what an entry keeps of the run in Airflow."""
        return self.airflow.model_dump() if self.airflow else {}
