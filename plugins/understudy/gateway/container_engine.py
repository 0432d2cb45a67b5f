"""What a gateway asks of the Docker engine; each call waits for the answer, so it is made in a thread."""

import secrets
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from understudy.gateway.frames import PROTOCOL
from understudy.gateway.worker import WorkerStart
from understudy.runners.archive import pack, tree
from understudy.runners.container import NOBODY
from understudy.runners.engine import ClientFactory, in_plain_words, local_client, remove_container
from understudy.runners.environment import FIXED, THREADS
from understudy.runners.errors import RunnerError
from understudy.runners.protocol import LABEL
from understudy.runners.sealed import sealed

if TYPE_CHECKING:
    from docker import APIClient

SCORING_LABEL, GATEWAY_LABEL, LIFE_LABEL = f"{LABEL}.scoring", f"{LABEL}.gateway", f"{LABEL}.gateway_life"
COMMAND = ["python3", "-W", "ignore", "-m", "understudy.gateway.scoring"]
VOLUME, NAME = "/understudy", "model"
MODEL_FOLDER = f"{VOLUME}/{NAME}"
CALL_TIMEOUT_S = 30.0
# The process limits itself to serving.memory before it touches the model; the engine's limit, which kills, lies above
# that by what an interpreter and its libraries take.
HEADROOM_BYTES = 512 << 20
SCRATCH_BYTES = 64 << 20
PIDS = 128


class ImageCannotScore(RunnerError):
    """The image has no scoring code, or some that speaks otherwise than this gateway."""

    def __init__(self, image: str, spoken: str | None) -> None:
        self.image = image
        found = "has no scoring code" if spoken is None else f"speaks version {spoken} to gateways"
        super().__init__(
            f"Image {image!r} {found}, and this gateway speaks version {PROTOCOL}. Build it FROM the stage image of "
            "this release and train the model in it."
        )


class EngineOverTls(RunnerError):
    """The engine's connection cannot be handed to the gateway's event loop."""

    def __init__(self) -> None:
        super().__init__(
            "A gateway attaches to containers over a local socket or plain TCP, and DOCKER_HOST names an engine behind "
            "TLS. Point it at the socket of an engine on this machine, or at a socket proxy."
        )


class Attached(NamedTuple):
    """Hold a container that runs, and a connection to its standard input and output."""

    container: str
    sock: socket.socket


class ContainerEngine:
    """Start, measure and remove the containers of one gateway.

    :param gateway: tells this gateway's containers from those of others on the same engine.
    """

    def __init__(self, gateway: str, open_client: ClientFactory = local_client) -> None:
        self._gateway, self._open_client = gateway, open_client
        self._life = secrets.token_hex(6)

    def start(self, start: WorkerStart) -> Attached:
        """Start a container with a copy of a version's files.

        Its standard input closes with our connection, so that it ends when this gateway does, however that ends; and
        with it go the container and its copy of the files.

        :raises RunnerError: where that is impossible, in a sentence; nothing is left behind then.
        """
        image = start.bundle.image_digest
        with self._client(image) as client:
            _require_scoring(client, image)
            named = f"understudy-{start.bundle.model}-{start.bundle.version}-{secrets.token_hex(4)}"
            created = str(client.create_container_from_config(self._config(client, start), name=named)["Id"])
            sock: socket.socket | None = None
            try:
                client.put_archive(created, VOLUME, pack(tree(NAME, Path(start.folder))))
                sock = _attached(client, created)
                client.start(created)
            except BaseException:
                if sock is not None:
                    sock.close()
                remove_container(client, created)
                raise
        return Attached(created, sock)

    def rss_bytes(self, container: str) -> int | None:
        """Measure what its processes hold in memory, without the kernel's copies of files."""
        with self._client() as client:
            measured: Any = client.stats(container, stream=False, one_shot=True)
        counted = measured.get("memory_stats", {}).get("stats", {})
        found = counted.get("rss", counted.get("anon"))  # control groups of the first and of the second version
        return None if found is None else int(found)

    def remove(self, container: str) -> None:
        """Kill and remove a container; do nothing where it is gone."""
        with self._client() as client:
            remove_container(client, container)

    def sweep(self) -> int:
        """Remove what an earlier life of this gateway left, and say how much that was."""
        with self._client() as client:
            found = client.containers(all=True, filters={"label": f"{GATEWAY_LABEL}={self._gateway}"})
            left = [facts["Id"] for facts in found if facts["Labels"].get(LIFE_LABEL) != self._life]
            for container in left:
                remove_container(client, container)
        return len(left)

    @contextmanager
    def _client(self, image: str = "") -> "Iterator[APIClient]":
        with in_plain_words(image):
            client = self._open_client(CALL_TIMEOUT_S)
            try:
                yield client
            finally:
                client.close()

    def _config(self, client: "APIClient", start: WorkerStart) -> dict[str, Any]:
        from docker.types import LogConfig, Mount

        bundle = start.bundle
        limits = sealed(
            client,
            memory_bytes=start.memory_bytes + HEADROOM_BYTES,
            cpus=1.0,
            pids=PIDS,
            scratch_bytes=SCRATCH_BYTES,
            network_mode="none",
            auto_remove=True,
            # The root is read-only, so files come in by a volume; they are root's, and the process is not.
            mounts=[Mount(VOLUME, None, type="volume")],
            # What it writes are answers, which may hold personal data and belong in no log but the model's own.
            log_config=LogConfig(type=LogConfig.types.NONE),
        )
        return client.create_container_config(
            image=bundle.image_digest,
            entrypoint=COMMAND,
            command=[],
            user=f"{NOBODY}:{NOBODY}",
            working_dir="/tmp",  # noqa: S108 - a tmpfs of its own
            environment={
                **FIXED,
                **dict.fromkeys(THREADS, "1"),
                "PYTHONDONTWRITEBYTECODE": "1",
                "HOME": "/tmp",  # noqa: S108
            },
            stdin_open=True,
            labels={
                GATEWAY_LABEL: self._gateway,
                LIFE_LABEL: self._life,
                f"{LABEL}.model": bundle.model,
                f"{LABEL}.version": str(bundle.version),
            },
            network_disabled=True,
            host_config=limits,
        ) | {"StdinOnce": True}


def _require_scoring(client: "APIClient", image: str) -> None:
    labels = client.inspect_image(image)["Config"].get("Labels") or {}
    if labels.get(SCORING_LABEL) != str(PROTOCOL):
        raise ImageCannotScore(image, labels.get(SCORING_LABEL))


def _attached(client: "APIClient", container: str) -> socket.socket:
    """Attach before the start, while nothing can have been read ahead, and keep the bare connection."""
    pipe = client.attach_socket(container, params={"stdin": 1, "stdout": 1, "stream": 1})
    try:
        raw: Any = getattr(pipe, "_sock", pipe)  # docker-py hands out a read-only file over a local socket
        if isinstance(raw, ssl.SSLSocket):
            raise EngineOverTls
        sock: socket.socket = raw.dup()
    finally:
        pipe._response.close()
    sock.setblocking(False)
    return sock
