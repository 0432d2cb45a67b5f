"""Who is told of what about a model: its declaration first, then the deployment's settings."""

from understudy.contract.declaration.alerts import AlertsSpec
from understudy.contract.declared import Fact
from understudy.contract.errors import SpecProblem, UnknownModel
from understudy.contract.load import read_model
from understudy.contract.words import AlertKind
from understudy.hooks.alerting.pages import runbooks_page
from understudy.settings import Settings, listed


class AlertTerms(Fact):
    """Say who is told, of what, how often, and where it is written what to do."""

    to: tuple[str, ...]
    """Empty also where this process's settings name nobody, and another's may."""
    is_silent: bool
    """Whether the declaration, which is the same for every process, says that nobody is told."""
    mail_to: tuple[str, ...]
    kinds: frozenset[AlertKind]
    inconclusive_after: int
    per_hour: int
    runbook: str | None
    """The model's own runbook; our page about the kind of alert where it has none."""

    def tells(self, kind: AlertKind) -> bool:
        """Say whether somebody may be told of a kind of alert, by whichever process knows whom."""
        return kind in self.kinds and not self.is_silent

    def runbook_of(self, kind: AlertKind, runbooks: str) -> str:
        """Name where it is written what to do about a kind of alert.

        :param runbooks: where the deployment keeps our runbooks; our page in Airflow when empty.
        """
        return self.runbook or f"{runbooks or runbooks_page()}#{kind.value.replace('_', '-')}"


def alert_terms(chosen: Settings, model: str) -> AlertTerms:
    """Resolve a model's terms; a declaration that cannot be read leaves the deployment's."""
    alerts, runbook = AlertsSpec(), None
    if model:
        try:
            spec = read_model(chosen.models_dir, model)
        except (SpecProblem, UnknownModel):
            pass  # that is an alert of its own, and somebody has to get it
        else:
            alerts, runbook = spec.alerts, spec.runbook
    kinds = alerts.kinds if alerts.kinds is not None else [AlertKind(name) for name in listed(chosen.alerts_kinds)]
    return AlertTerms(
        to=alerts.to if alerts.to is not None else listed(chosen.alerts_to),
        is_silent=alerts.to == (),
        mail_to=alerts.mail_to if alerts.mail_to is not None else listed(chosen.alerts_mail_to),
        kinds=frozenset(kinds or (AlertKind if alerts.kinds is None else ())),
        inconclusive_after=alerts.inconclusive_after,
        per_hour=alerts.per_hour or chosen.alerts_per_hour,
        runbook=runbook,
    )
