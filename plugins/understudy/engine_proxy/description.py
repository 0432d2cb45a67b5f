"""The containers that runners and gateways ask for, field by field in the engine's own names; there are no others."""

import re
from collections.abc import Hashable
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, field_validator, model_validator

from understudy.contract.entry_point import SECRETS_ENV, TIMEOUT_ENV
from understudy.gateway.container_engine import COMMAND
from understudy.runners.copied import CopiedFiles
from understudy.runners.environment import FIXED, THREADS
from understudy.runners.protocol import LABEL

Item = TypeVar("Item", bound=Hashable)
ENVIRONMENT = {*FIXED, *THREADS, *CopiedFiles.environment, TIMEOUT_ENV, SECRETS_ENV, "HOME", "PYTHONDONTWRITEBYTECODE"}
"""No others: what an image's runtime makes of NVIDIA_VISIBLE_DEVICES, say, is a right."""
STACK_LABEL = f"{LABEL}.stack"
"""Says whose a container is. The proxy alone writes it."""
OUR_LABEL = re.compile(rf"{re.escape(LABEL)}\.[a-z_]{{1,40}}")
IMAGE = r"[A-Za-z0-9][A-Za-z0-9_.:@-]*(/[A-Za-z0-9][A-Za-z0-9_.:@-]*)*"
SCRATCH = re.compile(r"rw,nosuid,nodev,noexec,mode=1777,size=([1-9][0-9]{0,18})")
NO_LOG: dict[str, Any] = {"Type": "none", "Config": {}}
BOUNDED_LOG: dict[str, Any] = {"Type": "json-file", "Config": {"max-size": "100m", "max-file": "2"}}
MOST_BYTES = 1 << 60

Once = Annotated[list[Item], Field(min_length=1, max_length=1)]
Bytes = Annotated[int, Field(gt=0, le=MOST_BYTES)]
Text = Annotated[str, Field(max_length=1024, pattern=r"^[^\x00]*$")]


def _is_yes(told: bool) -> bool:
    if not told:
        raise ValueError("has to be true")
    return told


def _is_no(told: bool) -> bool:
    if told:
        raise ValueError("has to be false")
    return told


def _counts_the_gpu(asked: list[list[str]]) -> list[list[str]]:
    if asked != [["gpu"]]:
        raise ValueError("has to be [['gpu']]")
    return asked


# Literal[True] would take 1 as well.
Yes = Annotated[bool, AfterValidator(_is_yes)]
No = Annotated[bool, AfterValidator(_is_no)]


class Closed(BaseModel):
    """Take the fields that are named and no other, in their own types and spelling."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Volume(Closed):
    """A volume without a name, which goes with its container."""

    Target: Literal["/understudy"]
    Source: None
    Type: Literal["volume"]
    ReadOnly: No


class Gpus(Closed):
    """A number of GPUs, whichever."""

    Driver: Literal[""]
    Count: int = Field(gt=0, le=1024)
    DeviceIDs: list[str] = Field(max_length=0)
    Capabilities: Annotated[list[list[str]], AfterValidator(_counts_the_gpu)]
    Options: dict[str, str] = Field(max_length=0)


class Host(Closed):
    """The machine's side: nothing of the machine, no right, bounded resources."""

    ReadonlyRootfs: Yes
    CapDrop: Once[Literal["ALL"]]
    SecurityOpt: Once[Literal["no-new-privileges:true"]]
    Init: Yes
    AutoRemove: Yes | None = None
    NetworkMode: Text
    Memory: Bytes
    MemorySwap: Bytes
    ShmSize: Bytes | None = None
    NanoCpus: int = Field(gt=0, le=10**15)
    PidsLimit: int = Field(gt=0, le=1 << 22)
    Tmpfs: dict[Literal["/tmp"], str] = Field(min_length=1)  # noqa: S108 - in memory, the container's own
    Mounts: Once[Volume]
    DeviceRequests: Once[Gpus] | None = None
    LogConfig: dict[str, str | dict[str, str]]

    @field_validator("LogConfig")
    @classmethod
    def _goes_nowhere(cls, asked: dict[str, Any]) -> dict[str, Any]:
        # Other drivers make the engine itself send to any address.
        if asked not in (NO_LOG, BOUNDED_LOG):
            raise ValueError("has to be none, or json-file with its bounds")
        return asked

    @model_validator(mode="after")
    def _is_bounded(self) -> "Host":
        scratch = SCRATCH.fullmatch(self.Tmpfs["/tmp"])  # noqa: S108
        if scratch is None or int(scratch[1]) > self.Memory:
            raise ValueError("Tmpfs has to be closed to programs and no larger than Memory")
        if self.MemorySwap != self.Memory:
            raise ValueError("MemorySwap has to be what Memory is")
        if (self.ShmSize or 0) > self.Memory:
            raise ValueError("ShmSize has to be no larger than Memory")
        return self


class Description(Closed):
    """A container that runs a stage or scores for a gateway."""

    Image: str = Field(max_length=300, pattern=f"^{IMAGE}$")
    User: str = Field(pattern=r"^[1-9][0-9]{0,8}:[1-9][0-9]{0,8}$")
    Env: list[Text] = Field(max_length=64)
    Cmd: list[str] = Field(max_length=0)
    Entrypoint: list[str] | None = None
    WorkingDir: Literal["/tmp"]  # noqa: S108
    Tty: No
    OpenStdin: bool
    StdinOnce: bool
    AttachStdin: bool
    AttachStdout: bool
    AttachStderr: bool
    NetworkDisabled: bool
    Labels: dict[str, Text] = Field(max_length=32)
    HostConfig: Host

    @field_validator("Env")
    @classmethod
    def _is_known(cls, asked: list[str]) -> list[str]:
        names = [entry.partition("=")[0] for entry in asked]
        unknown = sorted(set(names) - ENVIRONMENT)
        if unknown or len(set(names)) < len(names):
            raise ValueError(f"has {ascii(unknown[0])[:60]}, which no stage has" if unknown else "names one twice")
        return asked

    @field_validator("Entrypoint")
    @classmethod
    def _is_the_image_s_or_scores(cls, asked: list[str] | None) -> list[str] | None:
        if asked not in (None, COMMAND):
            raise ValueError("has to be the image's own, or the one that scores")
        return asked

    @field_validator("Labels")
    @classmethod
    def _are_ours(cls, asked: dict[str, str]) -> dict[str, str]:
        for label in asked:
            if label == STACK_LABEL or not OUR_LABEL.fullmatch(label):
                raise ValueError(f"has {ascii(label)[:60]}, which is not for clients to say")
        return asked
