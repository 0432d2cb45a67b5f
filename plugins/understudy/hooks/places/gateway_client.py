"""Talk to one gateway's admin API; every failure has a name."""

from collections.abc import Iterator
from contextlib import contextmanager
from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from pydantic import SecretStr, ValidationError

from understudy.contract.break_glass import BreakGlassOrder, BrokenGlass, GlassAcknowledgement
from understudy.contract.canary_lease import CanaryLapse
from understudy.contract.declared import Fact
from understudy.contract.live.canary_report import CanaryQuery, CanaryReport
from understudy.contract.release import Bundle
from understudy.contract.serving import (
    Acknowledgement,
    LoggedRows,
    ModelStatus,
    PrepareOrder,
    Problem,
    RehearsalQuery,
    RehearsalReport,
    RowsQuery,
    ServingOrder,
    TruthReport,
    Unreported,
)
from understudy.hooks.places.gateway_errors import (
    FilesMissingAtGateway,
    GatewayIsAhead,
    GatewayRefused,
    GatewayTokenMissing,
    GatewayTokenRefused,
    GatewayTokenUnfit,
    GatewayUnreachable,
)
from understudy.hooks.registry.bundle_files import packed
from understudy.trust import trust_for

if TYPE_CHECKING:
    from httpx import Client, Response

CONNECT_S = 3.0
ASK_S = 10.0
UPLOAD_S = 600.0
ARTEFACT = "X-Artefact-Sha256"
COUNTED = "X-Understudy-Rows"
PROBE = "X-Understudy-Probe"
_ANSWER_LIMIT = 500
Answer = TypeVar("Answer", bound=Fact)


class GatewayClient:
    """Hold the address of one gateway and the token of its admin API; the token appears in no message."""

    def __init__(self, url: str, token: SecretStr | None) -> None:
        self.url = url.rstrip("/")
        self._token = token

    def prepare(self, order: PrepareOrder, timeout_s: float) -> None:
        """Have a version loaded and kept warm.

        :raises GatewayRefused: where it cannot be loaded, verified or warmed up.
        :raises FilesMissingAtGateway: where its files must be sent first.
        """
        self._ask("POST", order.bundle.model, "/prepare", order, timeout_s=timeout_s)

    def serve(self, order: ServingOrder, timeout_s: float) -> Acknowledgement:
        """Have a record served.

        :raises GatewayIsAhead: where a newer record is served.
        :raises GatewayRefused, FilesMissingAtGateway: as for :meth:`prepare`.
        """
        answer = self._ask("PUT", order.record.model, "/record", order, timeout_s=timeout_s)
        return self._read(Acknowledgement, answer)

    def status(self, model: str, timeout_s: float = ASK_S) -> ModelStatus:
        """Ask what serves; epoch 0 where nothing does."""
        return self._read(ModelStatus, self._ask("GET", model, timeout_s=timeout_s))

    def forget(self, model: str, timeout_s: float, *, purge: bool) -> None:
        """Have a model served no more; with ``purge``, have its log and its versions' files deleted too."""
        self._ask("DELETE", model, "?purge=true" if purge else "", timeout_s=timeout_s)

    def rehearsal(self, model: str, query: RehearsalQuery, timeout_s: float) -> RehearsalReport:
        """Ask what the log says of two versions."""
        return self._read(RehearsalReport, self._ask("POST", model, "/rehearsal", query, timeout_s=timeout_s))

    def canary(self, model: str, query: CanaryQuery, timeout_s: float) -> CanaryReport:
        """Ask what the log says of a canary."""
        return self._read(CanaryReport, self._ask("POST", model, "/canary", query, timeout_s=timeout_s))

    def break_glass(self, model: str, order: BreakGlassOrder, timeout_s: float) -> GlassAcknowledgement:
        """Have a version taken back at this gateway alone.

        :raises GatewayIsAhead: where another version answers.
        :raises GatewayRefused: where no previous champion is warm.
        """
        return self._read(GlassAcknowledgement, self._ask("POST", model, "/break-glass", order, timeout_s=timeout_s))

    def reported(self, glass: BrokenGlass, timeout_s: float = ASK_S) -> None:
        """Say that the ledger knows of a break-glass."""
        self._ask("POST", glass.model, "/break-glass/reported", glass, timeout_s=timeout_s)

    def lapse_reported(self, lapse: CanaryLapse, timeout_s: float = ASK_S) -> None:
        """Say that the ledger knows of a canary that ended there by itself."""
        self._ask("POST", lapse.model, "/canary/reported", lapse, timeout_s=timeout_s)

    def rows(self, model: str, query: RowsQuery, destination: Path, timeout_s: float) -> LoggedRows:
        """Write what a version was asked and answered to a Parquet file, in constant memory; return the counts."""
        headers = {**self._authority(), "Content-Type": "application/json"}
        asked = query.model_dump_json().encode()
        with (
            self._client(timeout_s) as client,
            client.stream("POST", f"/admin/models/{model}/rows", content=asked, headers=headers) as answer,
        ):
            if answer.status_code >= 300:
                answer.read()
                self._check(answer, model)
            with destination.open("wb") as stream:
                for chunk in answer.iter_bytes():
                    stream.write(chunk)
            try:
                return LoggedRows.model_validate_json(answer.headers.get(COUNTED, ""))
            except ValidationError as strange:
                raise GatewayUnreachable(self.url, "it does not say how many rows it sent") from strange

    def tell(self, report: TruthReport) -> Unreported:
        """Say how its follower gets on; return what it did alone and nobody has reported yet."""
        answer = self._send("PUT", "/admin/truth", report, ASK_S)
        self._check(answer, "")
        return self._read(Unreported, answer)

    def upload(self, bundle: Bundle, folder: Path) -> None:
        """Send the files of a version; the gateway checks their digest."""
        with packed(folder) as tar, self._client(UPLOAD_S) as client:
            answer = client.put(
                f"/admin/models/{bundle.model}/files/{bundle.version}",
                content=tar,
                headers={ARTEFACT: bundle.model_sha256, "Content-Type": "application/x-tar", **self._authority()},
            )
        self._check(answer, bundle.model)

    def call(self, path: str, body: bytes, timeout_s: float = ASK_S) -> "Response":
        """Send what any caller could send to the public API; the token stays here."""
        with self._client(timeout_s) as client:
            return client.post(path, content=body, headers={"Content-Type": "application/json"})

    def score(self, path: str, body: bytes | None, timeout_s: float) -> "Response":
        """Send a probe to the public API: a scoring request, or a mere GET where there is no body."""
        headers = {PROBE: self._secret(), "Content-Type": "application/json"}
        with self._client(timeout_s) as client:
            return client.request("GET" if body is None else "POST", path, content=body, headers=headers)

    def _ask(
        self, method: str, model: str, path: str = "", body: Fact | None = None, *, timeout_s: float
    ) -> "Response":
        answer = self._send(method, f"/admin/models/{model}{path}", body, timeout_s)
        self._check(answer, model)
        return answer

    def _send(self, method: str, path: str, body: Fact | None, timeout_s: float) -> "Response":
        headers = {**self._authority(), "Content-Type": "application/json"}
        content = None if body is None else body.model_dump_json().encode()
        with self._client(timeout_s) as client:
            return client.request(method, path, content=content, headers=headers)

    def _check(self, answer: "Response", model: str) -> None:
        if answer.status_code < 300:
            return
        try:
            told = Problem.model_validate_json(answer.content)
        except ValidationError:
            text = " ".join(answer.text.split())[:_ANSWER_LIMIT]
            told = Problem(problem=f"HTTP {answer.status_code}{f', {text}' if text else ''}")
        if answer.status_code in {401, 403}:
            raise GatewayTokenRefused(self.url)
        if answer.status_code == 409:
            raise GatewayIsAhead(self.url, told.problem)
        if answer.status_code == 424 and told.missing is not None:
            raise FilesMissingAtGateway(self.url, model, told.missing)
        if answer.status_code in {400, 413, 422}:
            raise GatewayRefused(self.url, told.problem)
        raise GatewayUnreachable(self.url, told.problem)

    def _read(self, kind: type[Answer], answer: "Response") -> Answer:
        try:
            return kind.model_validate_json(answer.content)
        except ValidationError as strange:
            raise GatewayUnreachable(self.url, f"what it answered is no {kind.__name__}") from strange

    def _authority(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._secret()}"}

    def _secret(self) -> str:
        secret = self._token.get_secret_value().strip() if self._token else ""
        if not secret:
            raise GatewayTokenMissing(self.url)
        if not (secret.isascii() and secret.isprintable()):
            # Said here, because the HTTP library's own message would repeat it.
            raise GatewayTokenUnfit
        return secret

    @contextmanager
    def _client(self, timeout_s: float) -> "Iterator[Client]":
        import httpx

        try:
            url = httpx.URL(self.url)
            # One client a request: nothing outlives a fork, and connecting costs far less than what is asked for.
            with httpx.Client(
                base_url=url,
                timeout=httpx.Timeout(max(timeout_s, 0.1), connect=min(CONNECT_S, max(timeout_s, 0.1))),
                # A proxy of the outside world knows no loopback address.
                trust_env=not _is_loopback(url.host),
                verify=trust_for(self.url),
            ) as client:
                yield client
        except httpx.TimeoutException as late:
            raise GatewayUnreachable(self.url, f"no answer within {timeout_s:.1f} s") from late
        except (httpx.HTTPError, httpx.InvalidURL) as broken:
            raise GatewayUnreachable(self.url, str(broken) or type(broken).__name__) from broken


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
