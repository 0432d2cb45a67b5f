"""Decide on the description of a container, and write it anew."""

from typing import Any

from pydantic import Field, ValidationError, field_validator

from understudy.contract.declared import Fact
from understudy.engine_proxy.description import STACK_LABEL, Description
from understudy.engine_proxy.refusals import OutOfItsBox
from understudy.engine_proxy.strict_json import read_object, write

ISOLATED = "none"
WAYS_OUT = {
    "Mounts": "Leave AIRFLOW__UNDERSTUDY__WORKSPACE_ON_DAEMON empty, so that files are copied through the API.",
    "Binds": "Leave AIRFLOW__UNDERSTUDY__WORKSPACE_ON_DAEMON empty, so that files are copied through the API.",
}


class Allowance(Fact):
    """What an operator lets the stack have.

    ``network`` is the one that a stage gets whose source is on one; another container's cannot be named.
    """

    stack: str = Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")
    network: str = Field(default="bridge", pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$")
    gpus: int = Field(default=0, ge=0)

    @field_validator("network")
    @classmethod
    def _is_not_the_machines_own(cls, name: str) -> str:
        if name == "host":
            raise ValueError("'host' is the machine's own network, which no stage gets; name another one")
        return name


def vetted(body: bytes, allowance: Allowance) -> Description:
    """Read a description that stays in its box.

    :raises Unreadable: where it is no unambiguous JSON.
    :raises OutOfItsBox: where it asks for more than our own code does, or for less protection.
    """
    try:
        description = Description.model_validate(read_object(body))
    except ValidationError as wrong:
        raise _told(wrong) from wrong
    host = description.HostConfig
    if host.NetworkMode not in {ISOLATED, allowance.network}:
        raise OutOfItsBox(
            "HostConfig.NetworkMode",
            f"names a network other than {allowance.network!r}",
            "STACK_STAGE_NETWORK in .env names the one that stages may use.",
        )
    gpus = sum(asked.Count for asked in host.DeviceRequests or ())
    if gpus > allowance.gpus:
        raise OutOfItsBox(
            "HostConfig.DeviceRequests",
            f"asks for more GPUs ({gpus}) than a stage may have ({allowance.gpus})",
            "STACK_GPUS in .env says how many that is.",
        )
    return description


def written(description: Description, allowance: Allowance) -> bytes:
    """Write what the engine is asked to create: every field from the model, and whose it is."""
    document = description.model_dump(exclude_none=True)
    document["Labels"] = {**description.Labels, STACK_LABEL: allowance.stack}
    return write(document)


def _told(wrong: ValidationError) -> OutOfItsBox:
    # What must not be there is told before what is missing: the sender needs to know it first.
    problems: list[Any] = sorted(wrong.errors(include_url=False, include_context=False), key=_gravity)
    first = problems[0]
    field = ".".join(str(part) for part in first["loc"] if isinstance(part, str)) or "it"
    way_out = next((way for name, way in WAYS_OUT.items() if name in first["loc"]), "")
    return OutOfItsBox(field, _in_words(first), way_out)


def _gravity(problem: Any) -> int:
    return {"extra_forbidden": 0, "missing": 2}.get(problem["type"], 1)


def _in_words(problem: Any) -> str:
    message = str(problem["msg"])
    known = {
        "extra_forbidden": "is nothing that a stage or a gateway asks for",
        "missing": "has to be said",
        "too_long": "has more or fewer entries than a stage's",
        "too_short": "has more or fewer entries than a stage's",
        "value_error": message.removeprefix("Value error, "),
    }
    return known.get(problem["type"], message.replace("Input should", "should")[:200])
