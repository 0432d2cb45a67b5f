"""Under which terms a declared model is served."""

from pathlib import Path

from understudy.contract.declaration.canary import CanarySpec
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.errors import SpecProblem, UnderstudyError, UnknownModel
from understudy.contract.load import read_model
from understudy.contract.serving import ServingTerms
from understudy.hooks.deployments import Deployments


class NotServed(UnderstudyError):
    """A batch model was asked for as one that is served."""

    def __init__(self, model: str) -> None:
        super().__init__(f"{model} has no `serving:` section, so no gateway serves it. Add one to its declaration.")


def terms_of(spec: ModelSpec) -> ServingTerms:
    """Say what of a declaration a gateway has to know.

    :raises NotServed: for a model without ``serving``.
    """
    if spec.serving is None:
        raise NotServed(spec.model)
    return ServingTerms(
        task=spec.task,
        serving=spec.serving,
        pii=spec.data.classes.pii,
        allow_pickle=spec.train.allow_pickle,
        # One that was begun under a declaration which is gone has a lease, too.
        canary_lease_s=(spec.canary or CanarySpec()).lease.total_seconds(),
    )


def terms_now(deployments: Deployments, models_dir: Path, model: str) -> ServingTerms | None:
    """Say under which terms a model is served now; a declaration that is broken or gone must not stop a rollback."""
    terms = deployments.last_terms(model)
    if terms is not None:
        return terms
    try:
        spec = read_model(models_dir, model)
    except (SpecProblem, UnknownModel):
        return None
    return terms_of(spec) if spec.serving is not None else None
