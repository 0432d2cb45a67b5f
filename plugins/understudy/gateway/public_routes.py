"""What anybody may ask beside scores: is it there, which version is it, here are labels."""

from collections.abc import Awaitable, Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version

import orjson
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from understudy import __version__
from understudy.gateway.channel import Channel
from understudy.gateway.errors import RequestRefused
from understudy.gateway.exchange import Wire
from understudy.gateway.health import gateway_health
from understudy.gateway.log.labels import LabelsRefused, parse_labels
from understudy.gateway.log.prediction_log import LogUnwritable, PredictionLog
from understudy.gateway.observe import observe
from understudy.gateway.openapi import document
from understudy.gateway.refusals import refusal
from understudy.gateway.request_body import BodyReader, Disconnected
from understudy.gateway.roster import Roster
from understudy.gateway.scoring_route import version_of
from understudy.gateway.served_model import ServedModel

Handler = Callable[[Request], Awaitable[Response]]

JSON = "application/json"
ONCE_MORE = "Send them once more: where they are kept, that changes nothing."


class PublicRoutes:
    """Answer MLflow's and the Open Inference Protocol's questions, take labels, tell the health."""

    def __init__(self, roster: Roster) -> None:
        self._roster = roster
        self._bodies = BodyReader(roster.config.max_body_bytes, roster.config.max_bodies_bytes)
        try:
            # MLflow's clients ask for its version to know the protocol; the package itself is never imported here.
            self._protocol = version("mlflow")
        except PackageNotFoundError:
            self._protocol = __version__

    def routes(self) -> list[Route]:
        """List the routes; those about a model refuse in the protocol that they belong to."""
        mlflow, v2 = partial(_refusing, Wire.MLFLOW_JSON), partial(_refusing, Wire.V2_JSON)
        return [
            Route("/health", self._health),
            Route("/metrics", self._metrics),
            Route("/openapi.json", self._openapi),
            Route("/models/{model}/ping", mlflow(self._ping)),
            Route("/models/{model}/health", mlflow(self._ping)),
            Route("/models/{model}/version", mlflow(self._version)),
            Route("/models/{model}/labels", mlflow(self._labels), methods=["POST"]),
            Route("/v2", self._server),
            Route("/v2/health/live", self._live),
            Route("/v2/health/ready", self._ready),
            Route("/v2/models/{model}", v2(self._metadata)),
            Route("/v2/models/{model}/ready", v2(self._model_ready)),
            Route("/v2/models/{model}/versions/{version}", v2(self._metadata)),
            Route("/v2/models/{model}/versions/{version}/ready", v2(self._model_ready)),
        ]

    async def _health(self, _request: Request) -> Response:
        return Response(gateway_health(self._roster).model_dump_json(), media_type=JSON)

    async def _metrics(self, request: Request) -> Response:
        shown = await observe(self._roster)
        body, media_type = await run_in_threadpool(shown.text, request.headers.get("accept", ""))
        return Response(body, headers={"content-type": media_type})

    async def _openapi(self, _request: Request) -> Response:
        return Response(orjson.dumps(document()), media_type=JSON)

    async def _ping(self, request: Request) -> Response:
        model = self._find(request)
        if not model.is_serving:
            raise RequestRefused(503, f"{model.name} does not serve at the moment.")
        return Response(b"\n", media_type=JSON, headers=_stamped(model))

    async def _version(self, request: Request) -> Response:
        return Response(self._protocol, media_type=JSON, headers=_stamped(self._find(request)))

    async def _labels(self, request: Request) -> Response:
        model = self._find(request)
        if model.log is None:
            raise RequestRefused(503, f"{model.name} has no log yet. Try again shortly.")
        try:
            accepted, lacking = await self._keep(request, model, model.log)
        except Disconnected as gone:
            raise RequestRefused(400, "The request ended before its end.") from gone
        except LabelsRefused as refused:
            raise RequestRefused(400, str(refused)) from refused
        except LogUnwritable as unwritable:
            raise RequestRefused(503, str(unwritable)) from unwritable
        if lacking:
            sentence = f"The labels are kept here and not by {lacking} of the other gateways. {ONCE_MORE}"
            raise RequestRefused(503, sentence)
        return Response(orjson.dumps({"accepted": accepted}), media_type=JSON)

    async def _keep(self, request: Request, model: ServedModel, log: PredictionLog) -> tuple[int, int]:
        """Keep labels here and at all replicas; return how many there are, and how many replicas lack them."""
        relay = self._roster.relay
        is_for_us_alone = relay.is_for_us_alone(request.headers)
        body = await self._bodies.read(request.headers.get("content-length"), request.receive)
        try:
            labels = await run_in_threadpool(parse_labels, body)
            if is_for_us_alone and relay.is_own(request.headers):
                return len(labels), 0
            await log.append_labels(labels)
            model.traffic.labels += len(labels)
            return len(labels), 0 if is_for_us_alone else await relay.spread(model.name, body)
        finally:
            self._bodies.release(body)

    async def _server(self, _request: Request) -> Response:
        return Response(orjson.dumps({"name": "understudy", "version": __version__, "extensions": []}), media_type=JSON)

    async def _live(self, _request: Request) -> Response:
        return Response(b'{"live":true}', media_type=JSON)

    async def _ready(self, _request: Request) -> Response:
        is_ready = all(self._roster.find(name) is None or m.is_serving for name, m in self._roster.models.items())
        return Response(orjson.dumps({"ready": is_ready}), status_code=200 if is_ready else 503, media_type=JSON)

    async def _model_ready(self, request: Request) -> Response:
        model = self._find(request)
        channel = _named(model, request)
        is_ready = channel is not None and channel.worker is not None
        body = orjson.dumps({"name": model.name, "ready": is_ready})
        return Response(body, status_code=200 if is_ready else 503, media_type=JSON)

    async def _metadata(self, request: Request) -> Response:
        model = self._find(request)
        channel = _named(model, request)
        worker = channel.worker if channel is not None else None
        if worker is None:
            raise RequestRefused(503, f"{model.name} does not serve at the moment.")
        named = zip(worker.ready.inputs, worker.ready.input_datatypes, strict=True)
        inputs = [{"name": column, "datatype": datatype, "shape": [-1]} for column, datatype in named]
        told = {
            "name": model.name,
            "versions": [str(version) for version in model.lineup.versions],
            "platform": "mlflow_pyfunc",
            "inputs": inputs,
            "outputs": [{"name": "predict", "datatype": worker.ready.output_datatype, "shape": [-1]}],
        }
        headers = _stamped(model) if channel is model.lineup.front else None
        return Response(orjson.dumps(told), media_type=JSON, headers=headers)

    def _find(self, request: Request) -> ServedModel:
        """Find the model that a path names; raise RequestRefused."""
        model = self._roster.find(str(request.path_params["model"]))
        if model is None:
            raise RequestRefused(404, "No model of this name is served here.")
        return model


def _refusing(wire: Wire, handler: Handler) -> Handler:
    """Answer what a handler refuses in a protocol's shape."""

    async def answer(request: Request) -> Response:
        try:
            return await handler(request)
        except RequestRefused as refused:
            return no(wire, refused.status, str(refused))

    return answer


def _named(model: ServedModel, request: Request) -> Channel | None:
    """Find the version that a path names, or whoever answers; raise RequestRefused."""
    named = request.path_params.get("version")
    return model.lineup.front if named is None else model.lineup.channel_of(version_of(model, str(named)))


def _stamped(model: ServedModel) -> dict[str, str]:
    stamp = model.lineup.front.stamp if model.lineup.front is not None else None
    return {} if stamp is None else {name.decode(): value.decode() for name, value in stamp.headers}


def no(wire: Wire, status: int, sentence: str) -> Response:
    """Refuse in a protocol's shape."""
    again = {"retry-after": "1"} if status == 503 else None
    return Response(refusal(wire, status, sentence), status_code=status, media_type=JSON, headers=again)
