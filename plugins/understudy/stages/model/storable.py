"""How a model can be stored: by skops, which runs nothing when it is loaded, or by pickle where the spec allows it."""

from typing import Any, Literal

from understudy.stages.context import Refused
from understudy.stages.model.trusted_types import TRUSTED_TYPES

Storage = Literal["skops", "cloudpickle"]


def storage_of(model: Any, estimator: str, *, allow_pickle: bool) -> Storage:
    """Choose how to store a model.

    :raises Refused: where only pickle could store it and the spec does not allow that.
    """
    import skops.io

    try:
        strange = skops.io.get_untrusted_types(data=skops.io.dumps(model))
    except Exception as unstorable:  # noqa: BLE001 - whatever a foreign object raises
        strange, problem = [str(type(model).__name__)], f" ({unstorable})"
    else:
        problem = ""
    unknown = sorted(set(strange) - set(TRUSTED_TYPES))
    if not unknown and not problem:
        return "skops"
    if allow_pickle:
        return "cloudpickle"
    raise Refused(
        f"{estimator} returned a model that holds {', '.join(unknown[:3])}{problem}, which only pickle "
        "can store, and loading a pickle runs its code. Return scikit-learn objects, or accept that with "
        "train.allow_pickle: true",
        "train.allow_pickle",
    )
