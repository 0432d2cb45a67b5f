"""The settings and hooks of the deployment that the commands work on."""

import os
from typing import TYPE_CHECKING

from pydantic import ValidationError

from understudy.contract.errors import SpecProblem, UnderstudyError, UnknownModel
from understudy.contract.load import declared, load_model
from understudy.settings import PROJECT, Settings, settings

if TYPE_CHECKING:
    from understudy.contract.serving import ServingTerms
    from understudy.hooks.connect import Hooks

HOME = "UNDERSTUDY_HOME"


class BadSetting(UnderstudyError):
    """A setting of the deployment cannot be used."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"The setting {name} cannot be used: {problem}. .env.example explains it.")


def load_dotenv() -> None:
    """Let the project's ``.env`` set what the environment does not; a relative home there starts at the project."""
    from dotenv import dotenv_values

    for name, value in dotenv_values(PROJECT / ".env").items():
        if value is not None:
            os.environ.setdefault(name, str(PROJECT / value) if name == HOME else value)
    if HOME in os.environ:
        # Every process of the stack has its own working directory.
        os.environ[HOME] = os.path.abspath(os.environ[HOME])


def deployment() -> Settings:
    """Read the settings.

    :raises BadSetting: for the first one that is wrong.
    """
    try:
        return settings()
    except ValidationError as invalid:
        first = invalid.errors()[0]
        name = str(first["loc"][0]) if first["loc"] else "[understudy]"
        variable = name if name.isupper() else f"AIRFLOW__UNDERSTUDY__{name.upper()}"
        raise BadSetting(variable, first["msg"].removeprefix("Value error, ")) from invalid


def require_model(connected: "Hooks", model: str) -> None:
    """Tell a model that has no past from a name that nobody knows: it is declared, or the ledger speaks of it.

    :raises UnknownModel: with the nearest name.
    """
    folder = deployment().models_dir
    known = [path.parent.name for path in declared(folder)]
    if model not in known and not connected.ledger.entries(model, limit=1):
        raise UnknownModel(model, known, folder)


def hooks() -> "Hooks":
    """Reach the deployment's ledger, registry and data versions."""
    from understudy.hooks.connect import Hooks

    return Hooks(deployment())


def terms_if_declared(model: str) -> "ServingTerms | None":
    """Say under which terms a model is served; None for a batch model, and where its declaration cannot tell."""
    from understudy.hooks.places.serving_terms import terms_of

    try:
        spec = load_model(deployment().models_dir, model)
    except (SpecProblem, UnknownModel):
        return None
    return terms_of(spec) if spec.serving else None


def declared_models() -> list[str]:
    """Name the declared models."""
    return [path.parent.name for path in declared(deployment().models_dir)]
