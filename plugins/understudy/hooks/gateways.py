"""All replicas of the gateway."""

from pathlib import Path

from pydantic import SecretStr

from understudy.contract.errors import UnderstudyError
from understudy.contract.serving import Lagging, TruthReport
from understudy.hooks.gateway_client import GatewayClient
from understudy.hooks.gateway_target import GatewayTarget
from understudy.hooks.places import WAIT_S, Places, at_once


class Gateways(Places):
    """Steer all replicas of the gateway; each call asks all of them at once.

    :param urls: their base URLs.
    :param token: what their admin API asks for.
    :param bundles: where verified copies of the versions lie, for a gateway that lacks them; below the deployment's
        home when absent.
    """

    def __init__(self, urls: tuple[str, ...], token: SecretStr | None, bundles: Path | None = None) -> None:
        self._clients = [GatewayClient(url, token) for url in urls]
        super().__init__([GatewayTarget(client, self.bundles) for client in self._clients], bundles)

    @property
    def urls(self) -> tuple[str, ...]:
        """Give their base URLs, in the order of all answers."""
        return self.names

    def forget(self, model: str, *, purge: bool = False, within_s: float = WAIT_S) -> tuple[Lagging, ...]:
        """Have every replica serve a model no more, also after a restart; return those that could not be told.

        The ledger's record stands: a follower brings a model back that is declared.

        :param purge: also delete the prediction log and the versions' files there.
        """

        def forget(client: GatewayClient) -> Lagging | None:
            try:
                client.forget(model, within_s, purge=purge)
            except UnderstudyError as problem:
                return Lagging(gateway=client.url, problem=str(problem))
            return None

        return tuple(late for late in at_once(forget, self._clients) if late is not None)

    def tell(self, report: TruthReport) -> None:
        """Say how their follower gets on.

        :raises GatewayUnreachable: where one cannot be told.
        """
        at_once(lambda client: client.tell(report), self._clients)
