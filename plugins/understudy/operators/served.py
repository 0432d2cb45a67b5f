"""Which gateways a run has to steer, and under which terms its model is served."""

from typing import TYPE_CHECKING, NamedTuple

from understudy.contract.errors import SpecProblem, UnknownModel
from understudy.contract.load import load_model
from understudy.contract.serving import ServingTerms
from understudy.contract.spec import ModelSpec
from understudy.hooks.connect import Hooks
from understudy.hooks.serving_terms import terms_of
from understudy.operators.errors import GatewaysMissing
from understudy.settings import settings

if TYPE_CHECKING:
    from understudy.hooks.gateways import Gateways


class Served(NamedTuple):
    """Hold the gateways that serve a model, and its terms."""

    gateways: "Gateways"
    terms: ServingTerms


def served_by(hooks: Hooks, spec: ModelSpec) -> Served | None:
    """Find the gateways of a model; None for a batch model.

    :raises GatewaysMissing: where it is declared as served and no gateway is known.
    """
    if spec.serving is None:
        return None
    if hooks.gateways is None:
        raise GatewaysMissing(spec.model)
    return Served(hooks.gateways, terms_of(spec))


def terms_now(hooks: Hooks, model: str) -> ServingTerms | None:
    """Say under which terms a model is served now; a declaration that is broken or gone must not stop a rollback."""
    terms = hooks.deployments.last_terms(model)
    if terms is not None:
        return terms
    try:
        spec = load_model(settings().models_dir, model)
    except (SpecProblem, UnknownModel):
        return None
    return terms_of(spec) if spec.serving is not None else None
