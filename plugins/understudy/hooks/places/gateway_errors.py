"""One exception for each way a gateway can fail us."""

from collections.abc import Sequence

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Acknowledgement, Lagging
from understudy.hooks.places.errors import TargetIsAhead, TargetRefused, TargetUnreachable


class GatewayTokenMissing(UnderstudyError):
    """There is no token to open a gateway's admin API with."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"The admin API of gateway {url} needs a token, and none is known here. Set "
            "AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN to the gateways' token, or start the gateway on this machine once."
        )


class GatewayTokenUnfit(UnderstudyError):
    """The token cannot be sent."""

    def __init__(self) -> None:
        super().__init__(
            "The gateways' token holds characters that no HTTP header can carry. Set "
            "AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN to letters and digits, at the gateways and here."
        )


class GatewayTokenRefused(UnderstudyError):
    """A gateway has another token."""

    def __init__(self, url: str) -> None:
        super().__init__(
            f"Gateway {url} does not accept our token. Set AIRFLOW__UNDERSTUDY__GATEWAY_TOKEN to the same value at the "
            "gateway and here."
        )


class GatewayUnreachable(TargetUnreachable):
    """A gateway does not answer, or not as a gateway does."""

    def __init__(self, url: str, cause: str) -> None:
        super().__init__(
            f"Gateway {url}",
            cause,
            "Check that it runs and that AIRFLOW__UNDERSTUDY__GATEWAYS names it rightly, then try again.",
        )


class GatewayRefused(TargetRefused):
    """A gateway says no: what served goes on serving."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"Gateway {url}", problem)


class GatewayIsAhead(TargetIsAhead):
    """A gateway serves a newer record than the one that it was sent."""

    def __init__(self, url: str, problem: str) -> None:
        super().__init__(f"Gateway {url}", problem)


class FilesMissingAtGateway(UnderstudyError):
    """A gateway lacks the files of a version."""

    def __init__(self, url: str, model: str, version: int, cause: str = "") -> None:
        self.url, self.model, self.version = url, model, version
        super().__init__(
            f"Gateway {url} lacks the files of version {version} of {model}{f', and {cause}' if cause else ''}. "
            "Check that its follower runs and reaches the registry, then try again."
        )


class GatewayLagging(UnderstudyError):
    """The record is written, and not every place serves it yet."""

    def __init__(
        self, model: str, epoch: int, version: int, lagging: Sequence[Lagging], acks: Sequence[Acknowledgement] = ()
    ) -> None:
        self.model, self.epoch, self.version = model, epoch, version
        self.lagging, self.acks = tuple(lagging), tuple(acks)
        told = "; ".join(f"{late.gateway}: {late.problem.rstrip('.')}" for late in self.lagging)
        super().__init__(
            f"The record says that version {version} of {model} serves (epoch {epoch}); {len(self.acks)} of "
            f"{len(self.acks) + len(self.lagging)} places do so. Lagging: {told}. The record stands: our gateways "
            f"follow it as soon as they can, other targets when this is tried again; `understudy status {model}` tells."
        )
