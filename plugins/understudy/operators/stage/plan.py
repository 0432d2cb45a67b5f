"""Plan the job of a stage: in what it runs, where, within which limits, under which name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from pydantic import SecretStr

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declaration.train import RuntimeSpec, memory_bytes
from understudy.contract.stage import StageRequest
from understudy.contract.words import Isolation, StageName
from understudy.hooks.local_runs import this_process
from understudy.operators.stage.attempt import PLACE_LABEL, REQUEST_LABEL, Attempt, job_name, request_key
from understudy.operators.stage.engine_connection import engine_of
from understudy.runners.choose import choose_runner, deployment_key
from understudy.runners.protocol import Job, Resources, Runner
from understudy.settings import settings
from understudy.workspace import RunFolder

if TYPE_CHECKING:
    from airflow.sdk import Context


@dataclass(frozen=True)
class Asked:
    """Hold what an operator wants of its stage."""

    request: StageRequest
    inputs: dict[str, Path]
    secrets: Mapping[str, SecretStr] = field(default_factory=dict)
    needs_network: bool = False


def runtime_of(stage: str, own: RuntimeSpec, spec: ModelSpec | None) -> RuntimeSpec:
    """Lay what the task says over what the model declares, and both over what the deployment has."""
    deployed = settings().runtime
    if spec is None:
        return own.over(deployed)
    is_built_in = stage in {name.value for name in StageName}
    return own.over(spec.runtime_of(StageName(stage), deployed) if is_built_in else spec.runtime.over(deployed))


def isolation_of(runtime: RuntimeSpec) -> str:
    """Say how the stage is to be isolated; ``auto`` only where a process can stand in for the container."""
    chosen, deployed = runtime.isolation or settings().isolation, settings()
    has_own = bool(runtime.image and runtime.image != deployed.image)
    return "docker" if chosen == "auto" and (has_own or runtime.gpus or deployed.docker_conn_id) else chosen


def runner_of(isolation: str) -> Runner:
    """Choose where to run, on the engine that the deployment's connection names."""
    return choose_runner(cast("Isolation", isolation), settings(), engine_of(settings().docker_conn_id))


def plan(
    context: "Context", asked: Asked, folder: RunFolder, runtime: RuntimeSpec, timeout: timedelta | None
) -> Attempt:
    """Describe the job that answers a request; nothing is started."""
    runner, image, ti = _settled(folder, isolation_of(runtime)), str(runtime.image), context["ti"]
    local = this_process(settings().home, ti.dag_id)
    labels = {
        "dag_id": ti.dag_id,
        "run_id": str(context["run_id"]),
        "task_id": ti.task_id,
        "map_index": str(_map_index(ti)),
        "try_number": str(ti.try_number),
        "model": folder.model,
        **({PLACE_LABEL: local.place} if local else {}),
        REQUEST_LABEL: request_key(asked.request.model_dump(mode="json"), runner.image_digest(image)),
    }
    job = Job(
        name=job_name(deployment_key(settings()), folder.model, labels),
        request=asked.request,
        image=image,
        inputs=asked.inputs,
        outputs=folder.outputs(ti.task_id, _map_index(ti)),
        resources=resources_of(runtime, timeout),
        needs_network=asked.needs_network,
        labels=labels,
    )
    return Attempt(
        runner=runner,
        job=job,
        secrets=asked.secrets,
        folder=folder,
        isolation=runner.isolation.value,
        memory=str(runtime.memory),
    )


def _settled(folder: RunFolder, isolation: str) -> Runner:
    """Let ``auto`` choose once for the whole run, so that one slow answer moves no later stage out of its container."""
    if isolation != "auto":
        return runner_of(isolation)
    kept = folder.isolation()
    runner = runner_of(kept.value if kept else isolation)
    if kept is None:
        folder.keep_isolation(runner.isolation)
    return runner


def resources_of(runtime: RuntimeSpec, timeout: timedelta | None) -> Resources:
    """Bound what a stage may use; ``timeout`` instead of the declared one."""
    limits: dict[str, Any] = {"shm_bytes": memory_bytes(runtime.shm)} if runtime.shm else {}
    return Resources(
        memory_bytes=memory_bytes(runtime.memory or settings().memory),
        cpus=runtime.cpus or settings().cpus,
        gpus=runtime.gpus or 0,
        timeout=next(t for t in (timeout, runtime.timeout, settings().stage_timeout) if t is not None),
        **limits,
    )


def _map_index(ti: Any) -> int:
    index = getattr(ti, "map_index", -1)
    return -1 if index is None else int(index)
