"""What docker-compose.yaml promises of every service, and what `make env` generates for it."""

import io
import json
import os
import re
import subprocess
from configparser import ConfigParser
from pathlib import Path
from typing import Any

import mlflow
import pytest
import yaml
from dotenv import dotenv_values

from understudy import __version__
from understudy.settings import PROJECT

TEXT = (PROJECT / "docker-compose.yaml").read_text(encoding="utf-8")
FILE: dict[str, Any] = yaml.safe_load(TEXT)
SERVICES: dict[str, dict[str, Any]] = FILE["services"]
EXAMPLES = sorted((PROJECT / "include" / "stack").glob("*.env.example"))
ONCE = {"init", "cli"}
"""They end by themselves."""


def generate(env_file: Path) -> dict[str, str]:
    subprocess.run([PROJECT / "scripts" / "make_env.sh", env_file], check=True, capture_output=True)
    lines = env_file.read_text(encoding="utf-8").splitlines()
    return {name: value for name, _, value in (line.partition("=") for line in lines)}


def test_mlflow_hashes_a_password_once_and_not_with_every_request(tmp_path: Path) -> None:
    told = tmp_path / "mlflow"
    told.write_text(
        '#!/bin/sh\nprintf "%s\n" "$@" > "$TOLD.arguments"\ncp "$MLFLOW_AUTH_CONFIG_PATH" "$TOLD"\n', encoding="utf-8"
    )
    told.chmod(0o755)
    subprocess.run(
        [PROJECT / "include" / "images" / "airflow" / "understudy-mlflow"],
        check=True,
        env={"PATH": f"{tmp_path}:{os.defpath}", "MLFLOW_DATABASE": "postgresql://", "TOLD": str(tmp_path / "told")},
    )
    accounts = ConfigParser()
    accounts.read(tmp_path / "told", encoding="utf-8")
    known = (Path(mlflow.__file__).parent / "server" / "auth" / "config.py").read_text(encoding="utf-8")
    assert {key for key in accounts["mlflow"] if f'"{key}"' not in known} == set()
    assert accounts.getint("mlflow", "auth_cache_ttl_seconds") > 0
    # Another worker would not hear of a password that was changed, and would go on answering to the old one.
    arguments = (tmp_path / "told.arguments").read_text(encoding="utf-8").splitlines()
    assert arguments[arguments.index("--workers") + 1] == "1"


def test_on_a_busy_machine_celery_gets_its_tasks_late_and_not_never() -> None:
    worker = SERVICES["worker"]
    assert int(worker["environment"]["AIRFLOW__CELERY__OPERATION_TIMEOUT"]) >= 30
    (_, asked), limit = worker["healthcheck"]["test"], int(worker["healthcheck"]["timeout"].removesuffix("s"))
    assert "--app" not in asked, "it would load all of Airflow to ask whether a worker answers"
    told = re.search(r"--timeout (\d+)", asked)
    assert told is not None
    assert int(told[1]) < limit


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_pinned_limited_and_without_rights(name: str) -> None:
    service = SERVICES[name]
    assert re.fullmatch(r"[a-z/-]+:v?\d+\.\d+(\.\d+)?(-bookworm)?", service["image"])
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["mem_limit"]
    assert service["cpus"] <= 2, "an engine refuses more than its machine has"
    assert service["restart"] == ("no" if name in ONCE else "unless-stopped")
    assert ("healthcheck" in service) == (name not in ONCE)
    assert service.get("user", "").partition(":")[0] not in {"root", "0"}
    assert not service.get("privileged")


def test_our_own_image_is_the_one_of_this_version() -> None:
    assert {service["image"] for service in SERVICES.values() if "understudy-" in service["image"]} == {
        f"understudy-airflow:{__version__}"
    }


def test_only_the_proxy_holds_the_socket_of_the_engine() -> None:
    holders = [name for name, service in SERVICES.items() if "docker.sock" in str(service.get("volumes"))]
    assert holders == ["docker-proxy"]
    proxy = SERVICES["docker-proxy"]
    assert proxy["networks"] == ["engine"]
    assert proxy["read_only"] is True
    assert "environment" not in proxy, "it needs no secret, and so has none"
    assert FILE["networks"]["engine"] == {"internal": True}
    assert FILE["networks"]["inside"] == {"internal": True}


def test_the_proxy_lets_stages_into_the_network_that_they_ask_for_and_knows_its_containers_by_the_stack() -> None:
    proxy, network = SERVICES["docker-proxy"], "${STACK_STAGE_NETWORK:-bridge}"
    assert proxy["command"][:3] == ["python3", "-m", "understudy.engine_proxy"]
    assert {f"--network={network}", "--stack=${STACK_ID:?run make env}", "--gpus=${STACK_GPUS:-0}"} <= set(
        proxy["command"]
    )
    for name in ("scheduler", "worker", "gateway", "cli"):
        assert SERVICES[name]["environment"]["AIRFLOW__UNDERSTUDY__NETWORK"] == network


def test_who_starts_containers_reaches_the_engine_by_the_proxy_and_in_no_other_way() -> None:
    for name in ("scheduler", "worker", "gateway", "cli"):
        assert SERVICES[name]["environment"]["DOCKER_HOST"] == "tcp://docker-proxy:2375"
        assert "engine" in SERVICES[name]["networks"], name


def test_every_setting_that_an_operator_may_change_is_documented() -> None:
    documented = (PROJECT / "docs" / "compose.md").read_text(encoding="utf-8")
    settings = set(re.findall(r"\$\{(STACK_[A-Z_]+):-", TEXT)) - {"STACK_SETTINGS"}  # where tests put their files
    assert {name for name in settings if f"`{name}" not in documented} == set()


def test_what_is_published_is_published_for_this_machine_only() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.keys() == {"api-server", "edge", "grafana"}
    assert all(port.startswith("${STACK_BIND:-127.0.0.1}:") for ports in published.values() for port in ports)


def test_every_secret_is_asked_for_without_a_default_and_generated(tmp_path: Path) -> None:
    wanted = set(re.findall(r"\$\{(STACK_[A-Z_]+):\?", TEXT))
    generated = generate(tmp_path / "env")
    assert generated.keys() == wanted
    assert not re.search(r"\$\{STACK_[A-Z_]*(PASSWORD|SECRET|TOKEN|KEY)[A-Z_]*(:?-|\})", TEXT)
    long = [name for name, value in generated.items() if len(value) >= 43]
    assert wanted - set(long) == {"STACK_ID", "STACK_DOCKER_GID"}
    assert len(set(generated.values())) == len(generated)


def test_what_is_in_the_file_of_secrets_stays_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    env_file = tmp_path / "env"
    env_file.write_text("STACK_GATEWAY_TOKEN=mine\nOTHER=kept", encoding="utf-8")  # its last line has no end
    first = generate(env_file)
    assert (first["STACK_GATEWAY_TOKEN"], first["OTHER"]) == ("mine", "kept")
    assert generate(env_file) == first
    assert env_file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("empty", ["", "''", '""', "  # to be set"])
def test_a_secret_that_is_empty_is_generated_and_not_left_a_dead_end(tmp_path: Path, empty: str) -> None:
    env_file = tmp_path / "env"
    env_file.write_text(f"STACK_ADMIN_PASSWORD={empty}\nOTHER=\n", encoding="utf-8")
    filled = generate(env_file)
    assert len(filled["STACK_ADMIN_PASSWORD"]) >= 43
    assert filled["OTHER"] == ""
    assert env_file.read_text(encoding="utf-8").count("STACK_ADMIN_PASSWORD=") == 1
    assert generate(env_file) == filled


def test_files_for_what_nobody_can_generate_are_written_once_for_their_owner(tmp_path: Path) -> None:
    generate(tmp_path / "env")
    for example in EXAMPLES:
        written = tmp_path / example.name.removesuffix(".example")
        assert written.read_text(encoding="utf-8") == example.read_text(encoding="utf-8")
        assert written.stat().st_mode & 0o777 == 0o600
        written.write_text("MINE=kept\n", encoding="utf-8")
    generate(tmp_path / "env")
    assert {(tmp_path / path.name.removesuffix(".example")).read_text(encoding="utf-8") for path in EXAMPLES} == {
        "MINE=kept\n"
    }


def test_what_the_files_give_as_examples_is_what_a_service_gets(tmp_path: Path) -> None:
    for example in EXAMPLES:
        lines = example.read_text(encoding="utf-8").splitlines()
        settings = [line.removeprefix("# ") for line in lines if re.match(r"# [A-Z_]+=", line)]
        assert settings
        told = dotenv_values(stream=io.StringIO("\n".join(settings)))
        assert all(value for value in told.values())
        for name, value in told.items():
            if name.startswith("AIRFLOW_CONN_"):
                assert json.loads(value or "")["conn_type"]


def test_every_service_of_airflow_and_the_command_line_know_who_is_told() -> None:
    airflow = {"init", "api-server", "scheduler", "dag-processor", "triggerer", "worker", "cli"}
    told = {name for name, service in SERVICES.items() if "airflow.env" in str(service.get("env_file"))}
    assert told == airflow
    senders = {"scheduler", "worker", "triggerer", "cli"}
    assert all("outside" in SERVICES[name]["networks"] for name in senders)


def test_nobody_s_account_answers_for_whoever_types_a_command() -> None:
    for name, service in SERVICES.items():
        given = service.get("environment", {})
        assert not {"AIRFLOW__UNDERSTUDY__AIRFLOW_USER", "AIRFLOW__UNDERSTUDY__AIRFLOW_PASSWORD"} & given.keys(), name
    holders = [name for name, service in SERVICES.items() if "STACK_ADMIN_PASSWORD" in str(service)]
    assert holders == ["init"]


def test_links_follow_the_port_that_is_published() -> None:
    environment = SERVICES["scheduler"]["environment"]
    port = re.search(r"\$\{STACK_AIRFLOW_PORT:-(\d+)\}", SERVICES["api-server"]["ports"][0])
    assert port is not None
    assert environment["AIRFLOW__UNDERSTUDY__AIRFLOW_PAGES"] == f"http://localhost:{port.group()}"
    assert environment["AIRFLOW__API__BASE_URL"] == "${STACK_AIRFLOW_URL:-}"


def test_no_documented_command_lets_a_terminal_change_what_it_redirects() -> None:
    documents = [PROJECT / "README.md", *sorted((PROJECT / "docs").glob("*.md"))]
    lines = [line for path in documents for line in path.read_text(encoding="utf-8").splitlines()]
    typed = [line for line in lines if re.search(r"docker[ -]compose (run|exec)\b[^`#]* [<>|] ", line)]
    assert typed
    assert [line for line in typed if " -T " not in line] == []
