"""All replicas of the gateway, asked at once."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from understudy.contract.errors import UnderstudyError
from understudy.contract.rehearsal import merged
from understudy.contract.release import Bundle
from understudy.contract.serving import (
    Acknowledgement,
    Confirmation,
    Lagging,
    LoggedRows,
    ModelStatus,
    PrepareOrder,
    RehearsalQuery,
    RehearsalReport,
    RowsQuery,
    ServingOrder,
    TruthReport,
)
from understudy.hooks.bundle_files import digest_of
from understudy.hooks.gateway_client import ASK_S, GatewayClient
from understudy.hooks.gateway_errors import FilesMissingAtGateway, GatewayIsAhead, GatewayRefused, GatewayUnreachable
from understudy.hooks.gateway_probe import Probe, example_in

PREPARE_S = 120.0
WAIT_S = 30.0
REHEARSAL_S = 120.0
ROWS_S = 600.0
PAUSE_S = 0.25
"""Between two attempts at a replica that does not answer."""
Answered = TypeVar("Answered")


class Gateways:
    """Steer all replicas of the gateway; each call asks all of them at once.

    :param urls: their base URLs.
    :param token: what their admin API asks for.
    :param bundles: where verified copies of the versions lie, for a gateway that lacks them; below the deployment's
        home when absent.
    """

    def __init__(self, urls: tuple[str, ...], token: SecretStr | None, bundles: Path | None = None) -> None:
        self._clients = [GatewayClient(url, token) for url in urls]
        self.urls = tuple(client.url for client in self._clients)
        self._bundles = bundles

    def prepare(self, order: PrepareOrder, within_s: float = PREPARE_S) -> None:
        """Have every replica load a version and keep it warm, sending its files where they are missing.

        :raises GatewayRefused: where one cannot load, verify or warm it up.
        :raises GatewayUnreachable, FilesMissingAtGateway: where one cannot be asked, or cannot be given the files.
        """

        def prepare(client: GatewayClient) -> UnderstudyError | None:
            try:
                self._with_files(client, (order.bundle,), lambda: client.prepare(order, within_s))
            except UnderstudyError as problem:
                return problem
            return None

        problems = [problem for problem in self._all(prepare) if problem is not None]
        # A no is final, whatever else happened.
        for problem in sorted(problems, key=lambda problem: not isinstance(problem, GatewayRefused)):
            raise problem

    def apply(self, order: ServingOrder, within_s: float = WAIT_S) -> Confirmation:
        """Have every replica serve a record; ask one that does not answer again until the time is over."""
        deadline = time.monotonic() + within_s
        answers = self._all(lambda client: self._apply(client, order, deadline))
        return Confirmation(
            acks=tuple(answer for answer in answers if isinstance(answer, Acknowledgement)),
            lagging=tuple(answer for answer in answers if isinstance(answer, Lagging)),
        )

    def status(self, model: str, timeout_s: float = ASK_S) -> tuple[ModelStatus | Lagging, ...]:
        """Ask every replica what it serves, in the order of the URLs."""

        def status(client: GatewayClient) -> ModelStatus | Lagging:
            try:
                return client.status(model, timeout_s)
            except UnderstudyError as problem:
                return Lagging(gateway=client.url, problem=str(problem))

        return tuple(self._all(status))

    def probe(
        self, model: str, version: int, epoch: int, example: bytes | None = None, within_s: float = ASK_S
    ) -> tuple[Lagging, ...]:
        """Send every replica a real request; return those whose answer is not the version's at that epoch or later.

        :param example: the body of the request; by default the input example that lies with the version's files.
        """
        body = example if example is not None else example_in(self._folder(model, version))
        probe = Probe(model=model, version=version, epoch=epoch, body=body)
        problems = self._all(lambda client: probe.problem_at(client, within_s))
        return tuple(problem for problem in problems if problem is not None)

    def rehearsal(self, model: str, query: RehearsalQuery, within_s: float = REHEARSAL_S) -> RehearsalReport:
        """Add up what all replicas know of two versions; a missing replica is an error, not a smaller sum.

        :raises GatewayUnreachable, RehearsalsDiffer: where there is no such sum.
        """
        return merged(self._all(lambda client: client.rehearsal(model, query, within_s)))

    def rows(
        self, model: str, query: RowsQuery, folder: Path, within_s: float = ROWS_S
    ) -> tuple[list[LoggedRows], list[Path]]:
        """Fetch what a version was asked and answered at every replica, each into a file below ``folder``.

        :raises GatewayUnreachable: where one cannot be asked: fewer replicas would be another question.
        """
        folder.mkdir(parents=True, exist_ok=True)
        parts = [folder / f"replica-{number}.parquet" for number, _ in enumerate(self._clients)]
        places = dict(zip(self.urls, parts, strict=True))
        return self._all(lambda client: client.rows(model, query, places[client.url], within_s)), parts

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

        return tuple(late for late in self._all(forget) if late is not None)

    def tell(self, report: TruthReport) -> None:
        """Say how their follower gets on.

        :raises GatewayUnreachable: where one cannot be told.
        """
        self._all(lambda client: client.tell(report))

    def _apply(self, client: GatewayClient, order: ServingOrder, deadline: float) -> Acknowledgement | Lagging:
        record = order.record
        bundles = tuple(bundle for bundle in (record.champion, record.previous, record.mirror) if bundle is not None)
        while True:
            try:
                return self._with_files(
                    client, bundles, lambda: client.serve(order, max(deadline - time.monotonic(), 0.1))
                )
            except GatewayUnreachable as unreachable:
                # It may be starting anew: what it served last, it serves again at once, and it can be asked again.
                if time.monotonic() + PAUSE_S >= deadline:
                    return Lagging(gateway=client.url, problem=f"{unreachable.cause}")
                time.sleep(PAUSE_S)
            except (GatewayIsAhead, GatewayRefused) as refused:
                return Lagging(gateway=client.url, problem=refused.problem)
            except UnderstudyError as problem:
                return Lagging(gateway=client.url, problem=str(problem))

    def _with_files(self, client: GatewayClient, bundles: tuple[Bundle, ...], ask: Callable[[], Answered]) -> Answered:
        """Ask; where files are missing, send them and ask again, each version once."""
        sent: set[int] = set()
        while True:
            try:
                return ask()
            except FilesMissingAtGateway as missing:
                bundle = next((b for b in bundles if b.version == missing.version and b.version not in sent), None)
                if bundle is None:
                    raise
                sent.add(bundle.version)
                folder = self._folder(bundle.model, bundle.version)
                if digest_of(folder) != bundle.model_sha256:
                    raise FilesMissingAtGateway(
                        client.url, bundle.model, bundle.version, "no intact copy is here to send"
                    ) from missing
                client.upload(bundle, folder)

    def _folder(self, model: str, version: int) -> Path:
        if self._bundles is None:
            from understudy.settings import settings

            self._bundles = settings().home / "bundles"
        return self._bundles / model / str(version)

    def _all(self, ask: Callable[[GatewayClient], Answered]) -> list[Answered]:
        if len(self._clients) == 1:
            return [ask(self._clients[0])]
        with ThreadPoolExecutor(len(self._clients), thread_name_prefix="gateway") as pool:
            return list(pool.map(ask, self._clients))
