"""Under which terms a declared model is served."""

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import ServingTerms
from understudy.contract.spec import ModelSpec


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
        task=spec.task, serving=spec.serving, pii=spec.data.classes.pii, allow_pickle=spec.train.allow_pickle
    )
