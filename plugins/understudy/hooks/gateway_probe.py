"""A real request whose answer shows which version serves."""

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.contract.serving import Lagging
from understudy.hooks.gateway_client import GatewayClient
from understudy.hooks.gateway_errors import GatewayUnreachable

if TYPE_CHECKING:
    from httpx import Response

FACTS = "understudy.json"
EXAMPLE = "serving_input_example.json"
PAUSE_S = 0.25
VERSION_HEADER = "X-Understudy-Version"
EPOCH_HEADER = "X-Understudy-Epoch"


def example_in(folder: Path) -> bytes | None:
    """Read the request that MLflow stored with a model; None where there is none that a client could send.

    A model with ``prepare`` code stored what that code made of the request, which is no request.
    """
    try:
        facts = json.loads((folder / FACTS).read_bytes())
        example = (folder / EXAMPLE).read_bytes()
    except (OSError, ValueError):
        return None
    return None if not isinstance(facts, dict) or facts.get("prepare") else example


@dataclass(frozen=True)
class Probe:
    """Say what the answer must show."""

    model: str
    version: int
    epoch: int
    """Later ones are right as well: somebody wrote a newer record meanwhile."""
    body: bytes | None

    def problem_at(self, client: GatewayClient, within_s: float) -> Lagging | None:
        """Ask one gateway until it answers or the time is over; return what is wrong with the answer."""
        deadline = time.monotonic() + within_s
        while True:
            is_last = time.monotonic() + PAUSE_S >= deadline
            path = f"/models/{self.model}/{'version' if self.body is None else 'invocations'}"
            try:
                answer = client.score(path, self.body, max(deadline - time.monotonic(), 0.1))
            except GatewayUnreachable as unreachable:
                if is_last:
                    return Lagging(gateway=client.url, problem=unreachable.cause)
            else:
                # An overloaded gateway serves the right version as well; it only has no time to say so.
                if answer.status_code not in {429, 503, 504} or is_last:
                    return self._problem_of(client.url, answer)
            time.sleep(PAUSE_S)

    def _problem_of(self, url: str, answer: "Response") -> Lagging | None:
        version, epoch = answer.headers.get(VERSION_HEADER, ""), answer.headers.get(EPOCH_HEADER, "")
        if answer.status_code >= 300:
            return Lagging(gateway=url, problem=f"a probe request was answered with HTTP {answer.status_code}")
        if not (version.isdigit() and epoch.isdigit()):
            return Lagging(gateway=url, problem="the answer to a probe request does not say which version it is of")
        if int(epoch) > self.epoch or (int(version), int(epoch)) == (self.version, self.epoch):
            return None
        problem = f"a probe request was answered by version {version}, epoch {epoch}"
        return Lagging(gateway=url, problem=problem, epoch=int(epoch))
