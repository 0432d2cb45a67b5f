"""One exception for each way a gateway can fail us."""

from collections.abc import Sequence

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Acknowledgement, Lagging
from understudy.hooks.errors import Refused


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


class GatewayUnreachable(UnderstudyError):
    """A gateway does not answer, or not as a gateway does."""

    def __init__(self, url: str, cause: str) -> None:
        self.url, self.cause = url, cause
        super().__init__(
            f"Gateway {url} cannot be used ({cause}). Check that it runs and that AIRFLOW__UNDERSTUDY__GATEWAYS names "
            "it rightly, then try again."
        )


class GatewayRefused(Refused):
    """A gateway says no: what served goes on serving."""

    def __init__(self, url: str, problem: str) -> None:
        self.url, self.problem = url, problem
        super().__init__(f"Gateway {url} refused: {problem.rstrip('.')}. What serves there goes on serving.")


class GatewayIsAhead(Refused):
    """A gateway serves a newer record than the one that it was sent."""

    def __init__(self, url: str, problem: str) -> None:
        self.url, self.problem = url, problem
        super().__init__(f"Gateway {url} serves a newer record: {problem}")


class FilesMissingAtGateway(UnderstudyError):
    """A gateway lacks the files of a version."""

    def __init__(self, url: str, model: str, version: int, cause: str = "") -> None:
        self.url, self.model, self.version = url, model, version
        super().__init__(
            f"Gateway {url} lacks the files of version {version} of {model}{f', and {cause}' if cause else ''}. "
            "Check that its follower runs and reaches the registry, then try again."
        )


class GatewayLagging(UnderstudyError):
    """The record is written, and not every gateway serves it yet."""

    def __init__(
        self, model: str, epoch: int, version: int, lagging: Sequence[Lagging], acks: Sequence[Acknowledgement] = ()
    ) -> None:
        self.model, self.epoch, self.version = model, epoch, version
        self.lagging, self.acks = tuple(lagging), tuple(acks)
        told = "; ".join(f"{late.gateway}: {late.problem.rstrip('.')}" for late in self.lagging)
        super().__init__(
            f"The record says that version {version} of {model} serves (epoch {epoch}); {len(self.acks)} of "
            f"{len(self.acks) + len(self.lagging)} gateways do so. Lagging: {told}. The record stands: a gateway "
            f"serves it as soon as it can, and `understudy status {model}` shows when."
        )
