"""Run stages as hermetic Docker containers, on a local engine or a remote one."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import SecretStr

from understudy.contract.words import Isolation, JobState
from understudy.runners.container import ENTRY_LABEL, container_config, stage_user
from understudy.runners.container_facts import (
    DELIVERY_LABEL,
    HOME_LABEL,
    NAME_LABEL,
    ContainerId,
    own_labels,
    status_of,
)
from understudy.runners.container_log import read_log
from understudy.runners.copied import CopiedFiles
from understudy.runners.delivery import Delivery
from understudy.runners.engine import ClientFactory, in_plain_words, local_client, remove_container
from understudy.runners.environment import secrets_line
from understudy.runners.errors import ImageWithoutEntryPoint
from understudy.runners.inputs import require_inputs
from understudy.runners.mounted import MountedFiles
from understudy.runners.outputs import empty_folder
from understudy.runners.protocol import LABEL, Job, JobStatus, LogLine

if TYPE_CHECKING:
    from docker import APIClient

CALL_TIMEOUT_S = 120.0
KILL_TIMEOUT_S = 3.0
RECONNECTIONS = 10


class DockerRunner:
    """Run each stage in a container of its own.

    :param deployment: tells the containers of this deployment from those of others on the same engine.
    :param workspace: the worker's workspace.
    :param workspace_on_daemon: the same folder as the engine sees it; empty where it does not: files are then copied.
    :param network: the engine's network for stages that need one.
    :param open_client: how to reach the engine.
    """

    isolation: ClassVar[Isolation] = Isolation.DOCKER

    def __init__(
        self,
        *,
        deployment: str,
        workspace: Path,
        workspace_on_daemon: str = "",
        network: str = "bridge",
        open_client: ClientFactory = local_client,
    ) -> None:
        self.deployment, self.network, self.open_client = deployment, network, open_client
        self.copied = CopiedFiles()
        self.mounted = MountedFiles(workspace, workspace_on_daemon)

        self._client: APIClient | None = None
        self._images: dict[str, dict[str, Any]] = {}

    @property
    def client(self) -> "APIClient":
        """Connect once."""
        return self._client or self.connect(CALL_TIMEOUT_S)

    def connect(self, answer_within_s: float) -> "APIClient":
        """Connect to the engine, which must answer soon; later calls may take longer.

        :raises RunnerError: when it does not answer.
        """
        with in_plain_words():
            client = self.open_client(answer_within_s)
        client.timeout = CALL_TIMEOUT_S  # type: ignore[assignment]
        self._client = client
        return client

    def find(self, name: str) -> str | None:
        """Return the id of the container of that name."""
        facts = self._inspect(name)
        return ContainerId.of(facts["Id"], facts["Config"]["Labels"]).write() if facts else None

    def submit(self, job: Job, secrets: Mapping[str, SecretStr]) -> str:
        """Create, fill and start a container; replace what an earlier try left under that name."""
        require_inputs(job)
        with in_plain_words(job.image, job.resources, self.network):
            self._require_entry_point(job.image)
            left = self._inspect(job.name)
            if left:
                remove_container(self.client, left["Id"])
            empty_folder(job.outputs)
            delivery: Delivery = self.mounted if self.mounted.reaches(job.outputs) else self.copied
            own = {NAME_LABEL: job.name, HOME_LABEL: self.deployment, DELIVERY_LABEL: delivery.kind}
            job = job.model_copy(update={"labels": {**job.labels, **own}})
            created = ""
            try:
                created = self._create(job, delivery, has_secrets=bool(secrets))
                delivery.fill(self.client, created, job, stage_user())
                self._start(created, secrets)
            except BaseException:  # whatever went wrong, a half-made container must not stay
                if created:
                    remove_container(self.client, created)
                delivery.clear(job.name)
                raise
        return ContainerId(container=created, name=job.name, delivery=delivery.kind).write()

    def status(self, job_id: str) -> JobStatus:
        """Ask the engine."""
        facts = self._inspect(ContainerId.read(job_id).container)
        return status_of(facts) if facts else JobStatus(state=JobState.GONE)

    def stream_logs(self, job_id: str) -> Iterator[LogLine]:
        """Follow the log from its beginning; where the connection breaks, go on after the last line."""
        container, seen = ContainerId.read(job_id).container, 0
        for _ in range(RECONNECTIONS):
            is_running = self.status(job_id).state is JobState.RUNNING
            for line in islice(read_log(self.client, container, follow=is_running), seen, None):
                seen += 1
                yield line
            if not is_running:  # read once more after the end: an engine may drop the last words from what it streams
                return

    def result(self, job_id: str, outputs: Path) -> bytes:
        """Fetch the result, and the files unless the container wrote them straight into the workspace."""
        known = ContainerId.read(job_id)
        with in_plain_words():
            return self._delivery(known).collect(self.client, known.container, known.name, outputs)

    def kill(self, job_id: str) -> None:
        """Kill and remove in one call, over a connection of its own: it may come from a signal handler."""
        known = ContainerId.read(job_id)
        with in_plain_words():
            client = self.open_client(KILL_TIMEOUT_S)
            try:
                remove_container(client, known.container)
            finally:
                client.close()
        self._delivery(known).clear(known.name)

    def remove(self, job_id: str) -> None:
        """Remove an ended container, its volumes and its folder."""
        known = ContainerId.read(job_id)
        with in_plain_words():
            remove_container(self.client, known.container)
        self._delivery(known).clear(known.name)

    def image_digest(self, image: str) -> str:
        """Return the registry's digest of the image, or its id where it was built here."""
        with in_plain_words(image):
            facts = self._image(image)
        return str((facts.get("RepoDigests") or [facts["Id"]])[0])

    def leftovers(self) -> list[dict[str, str]]:
        """List the containers of this deployment, and the folders whose containers somebody else removed."""
        with in_plain_words():
            found = self.client.containers(all=True, filters={"label": f"{LABEL}.{HOME_LABEL}={self.deployment}"})
        left = [
            {**own_labels(facts["Labels"]), "id": ContainerId.of(facts["Id"], facts["Labels"]).write()}
            for facts in found
        ]
        known = {labels[NAME_LABEL] for labels in left}
        for labels in self.mounted.left():
            name = labels[NAME_LABEL]
            if labels[HOME_LABEL] == self.deployment and name not in known:
                orphan = ContainerId(container=name, name=name, delivery=labels[DELIVERY_LABEL])
                left.append({**labels, "id": orphan.write()})
        return left

    def _delivery(self, known: ContainerId) -> Delivery:
        deliveries: tuple[Delivery, ...] = (self.mounted, self.copied)
        return next(delivery for delivery in deliveries if delivery.kind == known.delivery)

    def _create(self, job: Job, delivery: Delivery, *, has_secrets: bool) -> str:
        user = stage_user()
        config = container_config(
            self.client,
            job,
            user=user,
            mounts=delivery.mounts(job, user),
            network=self.network,
            environment=delivery.environment,
            has_secrets=has_secrets,
        )
        return str(self.client.create_container_from_config(config, name=job.name)["Id"])

    def _image(self, image: str) -> dict[str, Any]:
        if image not in self._images:
            self._images[image] = self.client.inspect_image(image)
        return self._images[image]

    def _require_entry_point(self, image: str) -> None:
        if ENTRY_LABEL not in (self._image(image)["Config"].get("Labels") or {}):
            raise ImageWithoutEntryPoint(image, f"has no label {ENTRY_LABEL}")

    def _start(self, container: str, secrets: Mapping[str, SecretStr]) -> None:
        if not secrets:
            self.client.start(container)
            return
        # Attached before the start and closed after it: Docker hands the line on and stores it nowhere.
        pipe = self.client.attach_socket(container, params={"stdin": 1, "stream": 1})
        try:
            raw: Any = getattr(pipe, "_sock", pipe)  # docker-py hands out a read-only file over a local socket
            raw.sendall(secrets_line({name: secret.get_secret_value() for name, secret in secrets.items()}))
            self.client.start(container)
        finally:
            pipe._response.close()  # closes the socket with it; the reverse order raises

    def _inspect(self, container: str) -> dict[str, Any] | None:
        from docker.errors import NotFound

        with in_plain_words():
            try:
                facts: dict[str, Any] = self.client.inspect_container(container)
            except NotFound:
                return None
        return facts
