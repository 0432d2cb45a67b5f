"""One exception for each way in which a place cannot run a stage."""

from pathlib import Path

from understudy.contract.errors import UnderstudyError


class RunnerError(UnderstudyError):
    """A stage could not be run, watched or collected."""


class EngineUnreachable(RunnerError):
    """No Docker engine answers."""

    def __init__(self, problem: str, where: str = "") -> None:
        at = f" at {where}" if where else ""
        super().__init__(
            f"No Docker engine answers{at} ({problem}). Start it, or the proxy before it, point the Airflow connection "
            "or DOCKER_HOST at it, or set AIRFLOW__UNDERSTUDY__ISOLATION=process; `understudy doctor` tells more."
        )


class NoEngineBehindProxy(EngineUnreachable):
    """What answers is a proxy, and no Docker engine answers it."""

    def __init__(self, told: str) -> None:
        RunnerError.__init__(self, f"No Docker engine answers behind the proxy: {told}")


class EngineForbidden(RunnerError):
    """The engine's socket may not be opened."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The Docker socket refuses this user ({problem}). Add the user to the group docker and log in "
            "again, or point DOCKER_HOST at a socket proxy."
        )


class ImageMissing(RunnerError):
    """The engine does not have the image."""

    def __init__(self, image: str) -> None:
        self.image = image
        super().__init__(
            f"The Docker engine has no image {image!r}. Build it (`bash scripts/build_image.sh`), pull it "
            f"(`docker pull {image}`), or correct runtime.image."
        )


class ImageWithoutEntryPoint(RunnerError):
    """The image cannot run a stage."""

    def __init__(self, image: str, problem: str) -> None:
        self.image = image
        super().__init__(
            f"Image {image!r} {problem}, so that it cannot run a stage. Build it FROM the stage image and "
            "leave its ENTRYPOINT and its label org.understudy.stage as they are."
        )


class GpuUnavailable(RunnerError):
    """The engine cannot hand out the GPUs."""

    def __init__(self, gpus: int, problem: str) -> None:
        self.gpus = gpus
        super().__init__(
            f"The Docker engine cannot give a stage what runtime.gpus asks for, {gpus}: {problem.rstrip('.')}. Install "
            "the driver and the vendor's container toolkit on its machine, or lower runtime.gpus."
        )


class TooManyCpus(RunnerError):
    """The engine's machine has fewer processors."""

    def __init__(self, cpus: float, problem: str) -> None:
        self.cpus = cpus
        super().__init__(
            f"The stage asks for {cpus:g} CPUs, which the engine's machine does not have ({problem}). Lower "
            "runtime.cpus."
        )


class DiskFull(RunnerError):
    """No room is left where the files go."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The disk is full ({problem}). Free some space (`docker system df` shows what Docker holds), "
            "then try again."
        )


class WorkspaceNotOnDaemon(RunnerError):
    """The engine does not see the workspace where the settings say it does."""

    def __init__(self, problem: str) -> None:
        super().__init__(
            f"The Docker engine cannot mount the workspace ({problem}). Correct "
            "AIRFLOW__UNDERSTUDY__WORKSPACE_ON_DAEMON, or leave it empty to copy files through the API."
        )


class NetworkMissing(RunnerError):
    """The engine does not have the network of stages that need one."""

    def __init__(self, network: str) -> None:
        self.network = network
        super().__init__(
            f"The Docker engine has no network {network!r}. Create it (`docker network create {network}`), or correct "
            "AIRFLOW__UNDERSTUDY__NETWORK."
        )


class EngineRefused(RunnerError):
    """The engine answered with an error that has no name here."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"The Docker engine refused: {problem}")


class InputGone(RunnerError):
    """An input that the request names is not where the worker looks."""

    def __init__(self, name: str, path: object, problem: str) -> None:
        self.name, self.path = name, path
        super().__init__(f"Input {name!r} at {path} {problem}; run the task that makes it again.")


class LinkLeadsOut(RunnerError):
    """A folder that a stage is given holds a link to something else of the worker."""

    def __init__(self, link: str, folder: Path, target: str) -> None:
        self.link, self.folder = link, folder
        super().__init__(
            f"The link {link!r} in {folder} leads out of that folder, to {target}; put a copy of what it leads to "
            "there."
        )


class ResultMissing(RunnerError):
    """A stage ended but wrote no result."""

    def __init__(self, name: str) -> None:
        self.name = name
        super().__init__(
            f"Job {name!r} ended without a result file; was the image's ENTRYPOINT replaced, or did the "
            "stage call exit()?"
        )


class ResultTooLarge(RunnerError):
    """A result file is larger than Airflow takes."""

    def __init__(self, name: str, size: int, limit: int) -> None:
        self.name, self.size, self.limit = name, size, limit
        super().__init__(
            f"The result of job {name!r} holds {size:,} bytes, {limit:,} are allowed; bulk data belongs in the outputs."
        )


class UnsafeOutputs(RunnerError):
    """A stage left something that is neither a plain file nor a folder, or that lies elsewhere."""

    def __init__(self, entry: str, problem: str) -> None:
        self.entry = entry
        super().__init__(
            f"The stage left {entry!r} in its outputs, which {problem}; only plain files and folders below "
            "the output folder are collected."
        )


class JobGone(RunnerError):
    """A job that was submitted does not exist any more."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        super().__init__(f"Job {job_id} is gone: somebody removed it while it was watched. A retry starts it afresh.")


class StartFailed(RunnerError):
    """A process for the stage could not be started."""

    def __init__(self, name: str, problem: str) -> None:
        self.name = name
        super().__init__(f"Job {name!r} could not be started as a process: {problem}")
