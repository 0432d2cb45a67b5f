"""Measure what it costs to score in a container instead of a process: the start, and each frame, side by side.

Run ``python benchmarks/container_tax.py [FRAMES [ROUNDS [IMAGE]]]``. The same version is started both ways, and both
take turns, in an order that is drawn anew in every round. A frame of one request is what an idle gateway sends, one of
64 what a busy one does. Shown are medians over the rounds, and the container's time in multiples of the process's.
"""

import asyncio
import random
import statistics
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "plugins")]

import docker  # noqa: E402 - after the path
from docker.errors import DockerException  # noqa: E402

from benchmarks.serving.models import Served, train  # noqa: E402
from understudy import __version__  # noqa: E402
from understudy.gateway.exchange import Item, Wire  # noqa: E402
from understudy.gateway.places import places  # noqa: E402
from understudy.gateway.worker import Worker, WorkerStart  # noqa: E402

PROCESS, CONTAINER = "process", "container"
FRAMES, ROUNDS = 500, 5
MEMORY_BYTES = 1 << 30
SIZES = (1, 64)
Times = dict[tuple[str, str], list[float]]


async def frame_ms(worker: Worker, items: list[Item], frames: int) -> tuple[float, float]:
    """Score frames one after the other; the median and the 99th percentile."""
    times = []
    for _ in range(frames):
        begun = time.perf_counter()
        await worker.score(items)
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times), statistics.quantiles(times, n=100)[98]


async def contest(model: Served, image: str, frames: int, rounds: int) -> Times:
    """Start both ways, let both answer, and start anew in the next round."""
    place = places("auto", (), gateway="benchmark")
    await place.open()
    times: Times = {}
    item = Item(Wire.MLFLOW_JSON, model.payload(1))
    for _ in range(rounds):
        for kind in random.sample((PROCESS, CONTAINER), 2):
            own = {"image_digest": image, "own_image": image} if kind == CONTAINER else {}
            bundle = model.bundle.model_copy(update=own)
            begun = time.perf_counter()
            worker = await place.spawn(
                WorkerStart(bundle=bundle, folder=str(model.folder), memory_bytes=MEMORY_BYTES, max_rows=1000)
            )
            times.setdefault(("ready, s", kind), []).append(time.perf_counter() - begun)
            for size in SIZES:
                median, high = await frame_ms(worker, [item] * size, frames if size == 1 else frames // 5)
                times.setdefault((f"frame of {size}, p50 ms", kind), []).append(median)
                times.setdefault((f"frame of {size}, p99 ms", kind), []).append(high)
            await worker.kill()
    await place.close()
    return times


def main(frames: int = FRAMES, rounds: int = ROUNDS, image: str = f"understudy-stage:{__version__}") -> None:
    """Print the table, or say why there is none."""
    try:
        client = docker.APIClient(version="auto")
        digest = str(client.inspect_image(image)["Id"])
        client.close()
    except DockerException as lacking:
        print(f"skipped: the image {image} is not to be had ({lacking})")
        return
    with tempfile.TemporaryDirectory() as scratch:
        model = train(Path(scratch) / "bundles", "logistic_regression", 1)
        times = asyncio.run(contest(model, digest, frames, rounds))
    print(f"{'':<24}{PROCESS:>12}{CONTAINER:>12}{'ratio':>8}")
    for name in dict.fromkeys(name for name, _ in times):
        ours, theirs = (statistics.median(times[name, kind]) for kind in (PROCESS, CONTAINER))
        print(f"{name:<24}{ours:>12.2f}{theirs:>12.2f}{theirs / ours:>8.2f}")


if __name__ == "__main__":
    given = sys.argv[1:]
    main(
        int(given[0]) if given else FRAMES,
        int(given[1]) if len(given) > 1 else ROUNDS,
        given[2] if len(given) > 2 else f"understudy-stage:{__version__}",
    )
