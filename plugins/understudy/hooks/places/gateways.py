"""All replicas of the gateway."""

import time
from pathlib import Path

from pydantic import SecretStr

from understudy.contract.break_glass import BreakGlassOrder, BrokenGlass, GlassAcknowledgement
from understudy.contract.canary_lease import CanaryLapse
from understudy.contract.errors import UnderstudyError
from understudy.contract.live.canary_report import CanaryQuery, CanaryReport, merged_canary
from understudy.contract.serving import Lagging, LoggedRows, RowsQuery, TruthReport, Unreported
from understudy.hooks.places.gateway_client import GatewayClient
from understudy.hooks.places.gateway_target import GatewayTarget
from understudy.hooks.places.places import REHEARSAL_S, WAIT_S, Places, at_once, or_lagging

ROWS_S = 600.0


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

    def canary(self, model: str, query: CanaryQuery, within_s: float = REHEARSAL_S) -> CanaryReport:
        """Add up what all replicas know of a canary; a missing replica is an error, not a smaller sum.

        :raises GatewayUnreachable, RehearsalsDiffer: where there is no such sum.
        """
        return merged_canary(at_once(lambda client: client.canary(model, query, within_s), self._clients))

    def rows(
        self, model: str, query: RowsQuery, folder: Path, within_s: float = ROWS_S
    ) -> tuple[list[LoggedRows], list[Path]]:
        """Fetch what a version was asked and answered at every replica, each into a file below ``folder``.

        :raises GatewayUnreachable: where one cannot be asked: fewer replicas would be another question.
        """
        folder.mkdir(parents=True, exist_ok=True)
        parts = [folder / f"replica-{number}.parquet" for number, _ in enumerate(self._clients)]
        places = dict(zip(self.urls, parts, strict=True))
        return at_once(lambda client: client.rows(model, query, places[client.url], within_s), self._clients), parts

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

    def break_glass(
        self, model: str, order: BreakGlassOrder, within_s: float = WAIT_S
    ) -> tuple[GlassAcknowledgement | Lagging, ...]:
        """Have every replica go back to its warm previous champion, in the order of the URLs; the ledger is not asked.

        One that does not answer is asked again until the time is over.
        """
        deadline = time.monotonic() + within_s

        def break_glass(client: GatewayClient) -> GlassAcknowledgement | Lagging:
            return or_lagging(client.url, lambda left_s: client.break_glass(model, order, left_s), deadline)

        return tuple(at_once(break_glass, self._clients))

    def reported(self, glass: BrokenGlass) -> None:
        """Say that the ledger knows of a break-glass.

        :raises GatewayUnreachable: where one cannot be told.
        """
        at_once(lambda client: client.reported(glass), self._clients)

    def lapse_reported(self, lapse: CanaryLapse) -> None:
        """Say that the ledger knows of a canary that ended by itself.

        :raises GatewayUnreachable: where one cannot be told.
        """
        at_once(lambda client: client.lapse_reported(lapse), self._clients)

    def tell(self, report: TruthReport) -> Unreported:
        """Say how their follower gets on; return what they did alone and nobody has reported yet.

        :raises GatewayUnreachable: where one cannot be told.
        """
        heard = at_once(lambda client: client.tell(report), self._clients)
        return Unreported(
            broken=tuple(glass for told in heard for glass in told.broken),
            lapsed=tuple(lapse for told in heard for lapse in told.lapsed),
        )
