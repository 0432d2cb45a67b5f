"""Look at the Docker engine and at every image that stages are to run in."""

from contextlib import closing
from typing import TYPE_CHECKING

from understudy.cli.finding import Finding, Severity
from understudy.contract.errors import SpecProblem
from understudy.contract.load import declared, load_model
from understudy.runners.engine import why_silent
from understudy.settings import Settings

if TYPE_CHECKING:
    from docker import DockerClient


LONGEST = 300


def find_engine(settings: Settings) -> list[Finding]:
    """Ask for the engine that this environment names and, where one answers, for the images."""
    if settings.isolation == "process":
        return [Finding(about="docker", severity=Severity.FINE, found="not needed: stages are isolated by process")]
    if settings.docker_conn_id:
        found = (
            f"stages use the engine of the Airflow connection {settings.docker_conn_id!r}, which only a run can reach"
        )
        return [Finding(about="docker", severity=Severity.NOTE, found=found)]
    import docker
    from docker.errors import DockerException

    try:
        with closing(docker.from_env(timeout=5)) as client:
            version = client.version()["Version"]
            images = [_find_image(client, image, users) for image, users in _images(settings).items()]
    except DockerException as problem:
        return [_no_engine(settings, why_silent(problem).splitlines()[0][:LONGEST])]
    engine = Finding(about="docker", severity=Severity.FINE, found=f"Docker engine {version} answers")
    return [engine, *images]


def _no_engine(settings: Settings, told: str) -> Finding:
    must = settings.isolation == "docker"
    return Finding(
        about="docker",
        severity=Severity.BROKEN if must else Severity.NOTE,
        found=f"no Docker engine answers ({told})" + ("" if must else "; stages are isolated by process"),
        way_out="Start Docker; if it runs, check DOCKER_HOST and that this user is in the group docker.",
    )


def _images(settings: Settings) -> dict[str, list[str]]:
    """Map each image to the models that name it; the deployment's own comes first."""
    images: dict[str, list[str]] = {settings.image: []}
    for path in declared(settings.models_dir):
        try:
            spec = load_model(settings.models_dir, path.parent.name)
        except SpecProblem:
            continue  # told among the models
        for runtime in (spec.runtime, *spec.stages.values()):
            if runtime.image:
                images.setdefault(runtime.image, []).append(spec.model)
    return images


def _find_image(client: "DockerClient", image: str, users: list[str]) -> Finding:
    from docker.errors import ImageNotFound

    of = f" of {', '.join(sorted(set(users)))}" if users else ""
    try:
        client.images.get(image)
    except ImageNotFound:
        way_out = f"Build it, or pull it: docker pull {image}" if users else "Run: make image"
        return Finding(
            about="image", severity=Severity.BROKEN, found=f"the image {image}{of} is missing", way_out=way_out
        )
    return Finding(about="image", severity=Severity.FINE, found=f"{image}{of} is there")
