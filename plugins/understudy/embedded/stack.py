"""Start and stop the whole stack: safe to repeat, and after anything that happened in between."""

import fcntl
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from pydantic import SecretStr, field_serializer

from understudy.contract.declared import Fact
from understudy.contract.errors import UnderstudyError
from understudy.embedded.components import AIRFLOW, COMPONENTS, start_missing
from understudy.embedded.environment import gateway_url, mlflow_pages, process_environment, served_at, write_config
from understudy.embedded.health import AIRFLOW_PARTS, PortTaken, serves, unhealthy, wait_until_healthy
from understudy.embedded.layout import Layout
from understudy.embedded.passwords import ADMIN, admin_password, gateway_token, write_private
from understudy.embedded.ports import Ports, choose, move
from understudy.embedded.processes import Started, is_alive, stop
from understudy.embedded.workspace import workspace_on_daemon
from understudy.settings import Settings

HEALTHY_WITHIN_S = 300.0
MOVES = 5  # how often a component may lose its port to another program before we give up


class AnotherIsAtIt(UnderstudyError):
    """Two commands would start or stop the same stack at once."""

    def __init__(self, layout: Layout) -> None:
        super().__init__(f"Another `understudy up` or `down` is working on {layout.home}. Wait for it, then try again.")


class Running(Fact):
    """Say what runs, where, and how to get in."""

    home: str
    airflow: str
    mlflow: str
    gateway: str
    user: str
    password: SecretStr
    """Told once, when it is made; afterwards only where it lies."""
    password_file: str
    is_new_password: bool = False
    was_running: bool = False
    seconds: float = 0.0
    remarks: tuple[str, ...] = ()

    @property
    def way_in(self) -> str:
        """Say user and password to a person."""
        return f"user {self.user}, password {self._new_password() or f'in {self.password_file}'}"

    @field_serializer("password")
    def _in_json(self, _: SecretStr) -> str | None:
        return self._new_password()

    def _new_password(self) -> str | None:
        return self.password.get_secret_value() if self.is_new_password else None


class _Record(Fact):
    ports: Ports
    processes: tuple[Started, ...] = ()


def up(settings: Settings, layout: Layout, on_step: Callable[[str], None]) -> Running:
    """Start what is not running, or runs and does not answer, and wait until it works; leave the rest alone.

    :raises AnotherIsAtIt: when another command starts or stops the same stack.
    :raises NoFreePort: when all ports near the usual ones are taken.
    :raises PortTaken: when other programs took one port after the other.
    :raises DatabaseBroken: when Airflow's database cannot be migrated.
    :raises ComponentDied: when a component ended instead of starting.
    :raises NotHealthyInTime: when a component does not answer.
    """
    begun = time.monotonic()
    with _alone(layout):
        password, is_new = admin_password(layout)
        record = _read(layout)
        broken = _broken(record) if record else list(COMPONENTS)
        if record and not broken:
            return _describe(layout, record.ports, password, was_running=True, seconds=time.monotonic() - begun)
        kept = [process for process in record.processes if process.name not in broken] if record else []
        if record:
            on_step("clearing away an earlier run" if not kept else "restarting " + ", ".join(broken))
            stop([process for process in record.processes if process.name in broken])
            if "gateway" in broken:
                layout.gateway_address.unlink(missing_ok=True)
        if record and kept:
            ports, remarks = record.ports, [f"restarted {', '.join(broken)}; everything else went on"]
        else:
            ports, remarks = choose(Ports(gateway=settings.gateway_port or Ports().gateway))
        ports, lost = _start(settings, layout, ports, kept, on_step)
        remarks += lost
        return _describe(
            layout, ports, password, is_new_password=is_new, seconds=time.monotonic() - begun, remarks=tuple(remarks)
        )


def _start(
    settings: Settings, layout: Layout, ports: Ports, kept: Sequence[Started], on_step: Callable[[str], None]
) -> tuple[Ports, list[str]]:
    """Start all but what is kept, and wait; give what another program takes a port from a new one, and say so."""
    environment = process_environment(layout, os.environ)
    environment.setdefault("AIRFLOW__UNDERSTUDY__WORKSPACE_ON_DAEMON", workspace_on_daemon(settings))
    gateway_token(settings)  # before anybody asks for it
    processes = list(kept)
    remarks: list[str] = []
    try:
        while True:
            write_config(layout, ports)
            there = {process.name for process in processes}
            told = served_at(environment, ports)
            for started in start_missing(settings, layout, ports, told, there=there, on_step=on_step):
                processes.append(started)
                _write(layout, _Record(ports=ports, processes=tuple(processes)))
            try:
                wait_until_healthy(
                    layout,
                    ports,
                    tuple(processes),
                    HEALTHY_WITHIN_S,
                    lambda missing: on_step("waiting for " + ", ".join(missing)),
                )
            except PortTaken as taken:
                if len(remarks) == MOVES:
                    raise
                ports, remark = move(ports, taken.purpose)
                remarks.append(remark)
                on_step(remark)
                # Airflow was told where all of them are meant to be: it would ask the stranger, or send people there.
                ends = {taken.name, *AIRFLOW}
                stop([process for process in processes if process.name in ends])
                processes = [process for process in processes if process.name not in ends]
            else:
                write_private(layout.gateway_address, gateway_url(ports) + "\n")
                return ports, remarks
    except BaseException:
        # Half a stack is of no use, and an interrupt means: not now. What ran before goes on: callers wait for it.
        stop([process for process in processes if process not in kept])
        raise


def down(layout: Layout) -> list[str]:
    """Stop what :func:`up` started and return the names of what was running.

    :raises AnotherIsAtIt: when another command starts or stops the same stack.
    """
    if not layout.home.is_dir():
        return []
    with _alone(layout):
        record = _read(layout)
        if record is None:
            return []
        stopped = stop(record.processes)
        layout.gateway_address.unlink(missing_ok=True)
        layout.running.unlink()
        return stopped


def running(layout: Layout) -> Running | None:
    """Describe the stack if it is up; None if it is not."""
    record = _read(layout)
    if record is None or _broken(record):
        return None
    return _describe(layout, record.ports, admin_password(layout)[0], was_running=True)


def _broken(record: _Record) -> list[str]:
    """Name the components that have ended, or do not answer."""
    running = {process.name for process in record.processes if is_alive(process) and serves(record.ports, process)}
    silent = unhealthy(record.ports, {})
    if "api-server" in silent:  # who else is well, only it could have said
        silent = [name for name in silent if name not in AIRFLOW_PARTS.values()]
    return [name for name in COMPONENTS if name not in running or name in silent]


def _describe(
    layout: Layout,
    ports: Ports,
    password: str,
    *,
    was_running: bool = False,
    is_new_password: bool = False,
    seconds: float = 0.0,
    remarks: tuple[str, ...] = (),
) -> Running:
    return Running(
        home=str(layout.home),
        airflow=f"http://localhost:{ports.airflow}",
        mlflow=mlflow_pages(ports),
        gateway=gateway_url(ports),
        user=ADMIN,
        password=SecretStr(password),
        password_file=str(layout.passwords),
        was_running=was_running,
        is_new_password=is_new_password,
        seconds=seconds,
        remarks=remarks,
    )


def _read(layout: Layout) -> _Record | None:
    if not layout.running.is_file():
        return None
    return _Record.model_validate_json(layout.running.read_text(encoding="utf-8"))


def _write(layout: Layout, record: _Record) -> None:
    write_private(layout.running, record.model_dump_json(indent=1) + "\n")


@contextmanager
def _alone(layout: Layout) -> Iterator[None]:
    layout.home.mkdir(parents=True, exist_ok=True)
    with (layout.home / "lock").open("w") as handle:
        try:
            # The system gives the lock back when the holder dies, so a killed run leaves none behind.
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as held:
            raise AnotherIsAtIt(layout) from held
        yield
