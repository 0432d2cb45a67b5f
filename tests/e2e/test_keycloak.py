"""Sign-in by `include/stack/keycloak.py`, on the image of the stack, in a browser, behind a proxy that ends TLS."""

import os
import secrets
import socket
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.e2e.browser import browser
from tests.e2e.compose_stack import wait
from tests.e2e.keycloak_stand_in import Keycloak, keycloak
from understudy import __version__
from understudy.settings import PROJECT

pytestmark = [pytest.mark.e2e, pytest.mark.docker]

IMAGE = f"understudy-airflow:{__version__}"
ADMIN_PASSWORD = secrets.token_hex(16)
STARTS_WITHIN_S = 300
ROLES_REMEMBERED_S = 30
"""How long Airflow's auth manager knows somebody's roles by heart (`[fab] cache_ttl`)."""
CONFIG = Path("include/stack/keycloak.py")
# As in the stack: roles and the first account are brought in without Keycloak, which only the API server knows.
START = """
airflow db migrate
understudy access
export AIRFLOW__FAB__CONFIG_FILE=/srv/understudy/keycloak.py AIRFLOW__FAB__ENABLE_PROXY_FIX=True
exec airflow api-server --host 127.0.0.1 --port {port}
"""
MAY = {
    "/understudy/viewers": {"look": 200, "run": 403, "connections": 403, "accounts": 403},
    "/understudy/on-call": {"look": 200, "run": 404, "connections": 403, "accounts": 403},
    "/understudy/platform": {"look": 200, "run": 404, "connections": 200, "accounts": 403},
    "/understudy/admins": {"look": 200, "run": 404, "connections": 200, "accounts": 200},
}
"""What Airflow answers to each; 404 is a run of a DAG that this Airflow has not, which is looked for after the role."""


@pytest.fixture(scope="module")
def realm() -> Iterator[Keycloak]:
    with keycloak() as running:
        yield running


@pytest.fixture(scope="module")
def airflow(realm: Keycloak) -> Iterator[str]:
    """Start Airflow's API server as docs/auth.md says; return its address."""
    if subprocess.run(["docker", "image", "inspect", IMAGE], capture_output=True, check=False).returncode:
        lack = f"the image {IMAGE} is not there (scripts/build_image.sh airflow)"
        if os.environ.get("CI"):
            pytest.fail(f"CI has to have it, but {lack}", pytrace=False)
        pytest.skip(lack)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = {
        "AIRFLOW__CORE__AUTH_MANAGER": "airflow.providers.fab.auth_manager.fab_auth_manager.FabAuthManager",
        "AIRFLOW__CORE__PLUGINS_FOLDER": "/srv/understudy/plugins",
        "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{port}",
        "AIRFLOW__API__SECRET_KEY": secrets.token_hex(16),
        "AIRFLOW__API_AUTH__JWT_SECRET": secrets.token_hex(32),
        "UNDERSTUDY_ADMIN_PASSWORD": ADMIN_PASSWORD,
        "KEYCLOAK_REALM_URL": realm.realm_url,
        "KEYCLOAK_CLIENT_SECRET": realm.secret,
    }
    given = [word for name, value in environment.items() for word in ("--env", f"{name}={value}")]
    start = ["bash", "-euc", START.format(port=port)]
    name = f"keycloak-{secrets.token_hex(4)}"
    docker("create", "--name", name, "--network", "host", *given, IMAGE, *start)
    url = f"http://127.0.0.1:{port}"
    realm.redirect_uris.add(f"{url}/auth/oauth-authorized/keycloak")
    try:
        docker("cp", str(PROJECT / CONFIG), f"{name}:/srv/understudy/keycloak.py")
        docker("start", name)
        wait(lambda: answers(url), STARTS_WITHIN_S, lambda: subprocess.getoutput(f"docker logs --tail 60 {name} 2>&1"))
        yield url
    finally:
        docker("rm", "--force", "--volumes", name)


@pytest.mark.parametrize("group", MAY)
def test_who_signs_in_has_the_role_of_the_group(airflow: str, realm: Keycloak, group: str) -> None:
    person = group.rpartition("/")[2]
    realm.groups[person] = [group, "/others"]
    with signed_in(airflow, person) as client:
        assert may(client) == MAY[group]


def test_who_is_in_no_group_gets_in_and_may_nothing(airflow: str, realm: Keycloak) -> None:
    realm.groups["eve"] = ["/others", "/understudy"]
    with signed_in(airflow, "eve") as client:
        assert set(may(client).values()) == {403}


def test_who_leaves_a_group_loses_its_role_with_the_next_sign_in(airflow: str, realm: Keycloak) -> None:
    realm.groups["ann"] = ["/understudy/admins"]
    with signed_in(airflow, "ann") as client:
        assert may(client) == MAY["/understudy/admins"]
    realm.groups["ann"] = ["/understudy/viewers"]
    with signed_in(airflow, "ann") as client:
        wait(lambda: may(client) == MAY["/understudy/viewers"], ROLES_REMEMBERED_S + 30)


def test_a_browser_is_sent_to_keycloak_and_comes_back_to_the_models(airflow: str, realm: Keycloak) -> None:
    realm.groups["max"] = ["/understudy/viewers"]
    with browser(airflow) as page:
        page.open("/auth/login/keycloak")
        page.find("input[name=username]").send_keys("max")
        page.find("button").click()
        page.until(lambda driver: driver.current_url == f"{airflow}/", "the way back from Keycloak")
        page.open("/plugin/models")
        page.enter_frame()
        page.find("h1", "Models")


def test_behind_a_proxy_that_ends_tls_the_address_is_the_one_that_the_browser_sees(airflow: str) -> None:
    forwarded = {"X-Forwarded-Proto": "https", "X-Forwarded-Host": "airflow.example.com", "X-Forwarded-Port": "443"}
    sent = httpx.get(f"{airflow}/auth/login/keycloak", headers=forwarded, trust_env=False, timeout=60)
    assert sent.status_code == 302
    asked = dict(httpx.URL(sent.headers["location"]).params)
    assert asked["redirect_uri"] == "https://airflow.example.com/auth/oauth-authorized/keycloak"


def test_programs_get_a_token_for_an_account_of_airflow_s_own_and_for_no_person(airflow: str, realm: Keycloak) -> None:
    realm.groups["ben"] = ["/understudy/admins"]
    with signed_in(airflow, "ben"):
        pass
    given = {"admin": ADMIN_PASSWORD, "ben": ADMIN_PASSWORD}
    asked = {name: {"username": name, "password": password} for name, password in given.items()}
    told = {
        name: httpx.post(f"{airflow}/auth/token", json=body, trust_env=False, timeout=60).status_code
        for name, body in asked.items()
    }
    assert told == {"admin": 201, "ben": 401}


def test_a_forged_answer_of_keycloak_signs_nobody_in(airflow: str, realm: Keycloak) -> None:
    with httpx.Client(base_url=airflow, trust_env=False, timeout=60) as nobody:
        nobody.get("/auth/login/keycloak")
        forged = nobody.get("/auth/oauth-authorized/keycloak", params={"code": "made-up", "state": "made-up"})
        assert forged.status_code == 302
        assert nobody.get("/api/v2/dags").status_code == 401


@contextmanager
def signed_in(airflow: str, person: str) -> Iterator[httpx.Client]:
    """Do what a browser does: follow to Keycloak, send its form, follow back."""
    with httpx.Client(base_url=airflow, trust_env=False, timeout=60, follow_redirects=True) as client:
        asked = client.get("/auth/login/keycloak").raise_for_status()
        form = {**asked.url.params, "username": person}
        client.post(asked.url.copy_with(query=None), data=form).raise_for_status()
        yield client


def may(client: httpx.Client) -> dict[str, int]:
    run: dict[str, Any] = {"logical_date": None, "conf": {}}
    answers = {
        "look": client.get("/api/v2/dags"),
        "run": client.post("/api/v2/dags/rollback/dagRuns", json=run),
        "connections": client.get("/api/v2/connections"),
        "accounts": client.get("/auth/fab/v1/users"),
    }
    return {what: answer.status_code for what, answer in answers.items()}


def docker(*words: str) -> str:
    done = subprocess.run(["docker", *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def answers(url: str) -> bool:
    try:
        return httpx.get(f"{url}/api/v2/version", trust_env=False, timeout=10).is_success
    except httpx.HTTPError:
        return False
