"""Where a run's model is served, and under which terms."""

from typing import TYPE_CHECKING, NamedTuple

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.serving import ServingTerms
from understudy.hooks.connect import Hooks
from understudy.hooks.places.serving_terms import terms_of
from understudy.operators.errors import GatewaysMissing

if TYPE_CHECKING:
    from understudy.hooks.places.places import Places


class Served(NamedTuple):
    """Hold where a model is served, our gateways or its own target, and its terms."""

    gateways: "Places"
    terms: ServingTerms


def served_by(hooks: Hooks, spec: ModelSpec) -> Served | None:
    """Find where a model is served; None for a batch model.

    :raises GatewaysMissing: where it is declared as served and no gateway is known.
    """
    if spec.serving is None:
        return None
    terms = terms_of(spec)
    places = hooks.places(terms)
    if places is None:
        raise GatewaysMissing(spec.model)
    return Served(places, terms)
