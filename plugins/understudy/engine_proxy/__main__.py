"""``python3 -m understudy.engine_proxy``: the service docker-proxy of docker-compose.yaml."""

import asyncio
import logging
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path

from pydantic import ValidationError

from understudy.engine_proxy.decide import Desk
from understudy.engine_proxy.engine import Engine
from understudy.engine_proxy.serve import serve
from understudy.engine_proxy.vet import Allowance


def main() -> None:
    """Serve; end with a sentence where that is impossible."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stdout)
    told = _arguments()
    try:
        allowance = Allowance(stack=told.stack, network=told.network, gpus=told.gpus)
    except ValidationError as wrong:
        first = wrong.errors()[0]
        sys.exit(f"docker-proxy cannot start: --{first['loc'][0]}: {first['msg'].removeprefix('Value error, ')}")
    try:
        asyncio.run(serve(Desk(Engine(told.socket), allowance), told.host, told.port))
    except OSError as problem:
        sys.exit(f"docker-proxy cannot listen on {told.host}:{told.port}: {problem.strerror or problem}")


def _arguments() -> Namespace:
    parser = ArgumentParser("understudy.engine_proxy", description="Hand on to the Docker engine what stages need.")
    parser.add_argument("--stack", required=True, help="whose containers it makes and acts on")
    parser.add_argument("--network", default="bridge", help="the network of stages that need one")
    parser.add_argument("--gpus", type=int, default=0, help="how many GPUs a stage may have")
    parser.add_argument("--socket", type=Path, default=Path("/var/run/docker.sock"), help="where the engine listens")
    parser.add_argument("--host", default="127.0.0.1", help="the address to listen on")
    parser.add_argument("--port", type=int, default=2375, help="the port to listen on, 0 for any free one")
    return parser.parse_args()


if __name__ == "__main__":
    main()
