"""A container is described as our own code describes it, or it is not created."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from tests.unit.engine_proxy.fake_engine import ALLOWANCE, STACK
from tests.unit.engine_proxy.sent import by_gateway, by_runner, document
from understudy.engine_proxy.description import STACK_LABEL, Description, Host
from understudy.engine_proxy.refusals import NotHandedOn, OutOfItsBox
from understudy.engine_proxy.vet import Allowance, vetted, written

GPUS = Allowance(stack=STACK, gpus=2)
GONE = object()


def put(path: str, value: object, into: dict[str, Any] | None = None) -> dict[str, Any]:
    """Describe a container otherwise than our code does, in one place."""
    changed = document() if into is None else into
    *parents, last = path.split(".")
    place: Any = changed
    for name in parents:
        place = place[int(name)] if isinstance(place, list) else place[name]
    if value is GONE:
        del place[last]
    else:
        place[last] = value
    return changed


def refusal(changed: object, allowance: Allowance = ALLOWANCE) -> str:
    with pytest.raises(OutOfItsBox) as refused:
        vetted(json.dumps(changed).encode(), allowance)
    return str(refused.value)


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(by_runner(), id="a stage"),
        pytest.param(by_runner(has_secrets=True), id="a stage with secrets"),
        pytest.param(by_runner(needs_network=True), id="a stage with a network"),
        pytest.param(by_runner(gpus=2), id="a stage with GPUs"),
        pytest.param(by_gateway(), id="a version that is scored in a container"),
    ],
)
def test_what_runners_and_gateways_send_is_created_as_they_say_and_marked_as_ours(sent: bytes) -> None:
    created = json.loads(written(vetted(sent, GPUS), GPUS))
    asked = document(sent)
    assert created["Labels"].pop(STACK_LABEL) == STACK
    assert asked["HostConfig"]["Mounts"][0].pop("Source") is None
    assert created == asked


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("HostConfig.Binds", ["/etc:/host:ro"]),
        ("HostConfig.binds", ["/etc:/host:ro"]),
        ("HostConfig.Privileged", True),
        ("HostConfig.CapAdd", ["NET_RAW"]),
        ("HostConfig.Devices", [{"PathOnHost": "/dev/sda"}]),
        ("HostConfig.DeviceCgroupRules", ["a *:* rwm"]),
        ("HostConfig.VolumesFrom", ["postgres"]),
        ("HostConfig.PidMode", "host"),
        ("HostConfig.IpcMode", "host"),
        ("HostConfig.UTSMode", "host"),
        ("HostConfig.UsernsMode", "host"),
        ("HostConfig.CgroupnsMode", "host"),
        ("HostConfig.CgroupParent", "/"),
        ("HostConfig.Runtime", "other"),
        ("HostConfig.Sysctls", {"kernel.shm_rmid_forced": "1"}),
        ("HostConfig.GroupAdd", ["0"]),
        ("HostConfig.Links", ["postgres:db"]),
        ("HostConfig.PortBindings", {"80/tcp": [{"HostPort": "80"}]}),
        ("HostConfig.PublishAllPorts", True),
        ("HostConfig.OomScoreAdj", -1000),
        ("HostConfig.OomKillDisable", True),
        ("HostConfig.MaskedPaths", []),
        ("HostConfig.ReadonlyPaths", []),
        ("HostConfig.RestartPolicy", {"Name": "always"}),
        ("HostConfig.StorageOpt", {}),
        ("HostConfig.Ulimits", []),
        ("HostConfig.VolumeDriver", "nfs"),
        ("HostConfig.ExtraHosts", ["gateway:1.2.3.4"]),
        ("NetworkingConfig", {"EndpointsConfig": {"inside": {}}}),
        ("Volumes", {"/v": {}}),
        ("Healthcheck", {"Test": ["CMD-SHELL", "id"]}),
        ("Hostname", "postgres"),
        ("X", {"CapDrop": ["ALL"]}),
    ],
)
def test_a_field_that_our_code_never_sends_is_refused_by_its_name(path: str, value: object) -> None:
    assert f"{path!r} is nothing that a stage or a gateway asks for" in refusal(put(path, value))


@pytest.mark.parametrize(
    "value", ["", "0", "0:0", "0:65532", "65532:0", "65532", "root", "root:root", "00:1", "+0:1", 1, None]
)
def test_nobody_is_root(value: object) -> None:
    assert "'User'" in refusal(put("User", value))


SEALS: dict[str, list[object]] = {
    "ReadonlyRootfs": [False, 0, 1, "true", None, GONE],
    "Init": [False, None, GONE],
    "CapDrop": [[], ["all"], ["NET_RAW"], ["ALL", "NET_RAW"], "ALL", None, GONE],
    "SecurityOpt": [
        [],
        ["no-new-privileges:false"],
        ["no-new-privileges"],
        ["no-new-privileges:true", "seccomp=unconfined"],
        ["seccomp=unconfined"],
        None,
        GONE,
    ],
    "AutoRemove": [False, 1],
    "Memory": [0, -1, True, 1.5, "1", None, GONE],
    "MemorySwap": [-1, 0, 1, GONE],
    "ShmSize": [0, -1, 1 << 50],
    "NanoCpus": [0, -1, GONE],
    "PidsLimit": [0, -1, None, GONE],
    "Tmpfs": [
        {},
        {"/etc": "rw"},
        {"/tmp": "rw,exec,size=1"},
        {"/tmp": f"rw,nosuid,nodev,noexec,mode=1777,size={1 << 40}"},
        GONE,
    ],
    "LogConfig": [
        {"Type": "syslog", "Config": {"syslog-address": "udp://postgres:5432"}},
        {"Type": "json-file", "Config": {}},
        {"Type": "json-file", "Config": {"max-size": "100m", "max-file": "2", "env": "x"}},
        GONE,
    ],
    "NetworkMode": ["host", "container:postgres", "understudy_inside", "default", "", "bridge ", "Host", 1, None, GONE],
}


@pytest.mark.parametrize(
    ("field", "value"), [pytest.param(f, v, id=f"{f}-{i}") for f, values in SEALS.items() for i, v in enumerate(values)]
)
def test_what_seals_a_container_is_there_and_says_what_it_has_to(field: str, value: object) -> None:
    assert "docker-proxy creates no such container" in refusal(put(f"HostConfig.{field}", value))


DISGUISED = {"DriverConfig": {"Name": "local", "Options": {"device": "/", "o": "bind"}}}


@pytest.mark.parametrize(
    "otherwise",
    [
        pytest.param({"Type": "bind", "Source": "/"}, id="the machine's files"),
        pytest.param({"Source": "understudy_postgres"}, id="a volume with a name"),
        pytest.param({"Source": ""}, id="a volume with an empty name"),
        pytest.param({"Target": "/etc"}, id="elsewhere"),
        pytest.param({"Type": "npipe"}, id="a pipe"),
        pytest.param({"VolumeOptions": DISGUISED}, id="a volume made of the machine's files"),
        pytest.param({"BindOptions": {"Propagation": "rshared"}}, id="with options"),
    ],
)
def test_one_volume_without_a_name_is_all_that_is_mounted(otherwise: dict[str, object]) -> None:
    volume = document()["HostConfig"]["Mounts"][0]
    for mounts in ([{**volume, **otherwise}], [volume, {**volume, **otherwise}], [volume, volume], []):
        assert "WORKSPACE_ON_DAEMON empty" in refusal(put("HostConfig.Mounts", mounts))


def test_only_the_network_that_the_operator_names_is_given() -> None:
    wanted = put("HostConfig.NetworkMode", "lab")
    assert "STACK_STAGE_NETWORK" in refusal(wanted)
    assert vetted(json.dumps(wanted).encode(), Allowance(stack=STACK, network="lab"))
    for name in ("host", "container:postgres", ""):
        with pytest.raises(ValidationError):
            Allowance(stack=STACK, network=name)


def test_gpus_are_given_as_far_as_the_operator_lets_them() -> None:
    assert "STACK_GPUS" in refusal(document(by_runner(gpus=1)))
    assert "asks for more GPUs (3) than a stage may have (2)" in refusal(document(by_runner(gpus=3)), GPUS)


@pytest.mark.parametrize(
    "request_of_devices",
    [
        pytest.param({"Count": -1}, id="all of them"),
        pytest.param({"Driver": "cdi"}, id="by another driver"),
        pytest.param({"DeviceIDs": ["0"]}, id="a certain one"),
        pytest.param({"Capabilities": [["gpu", "utility"]]}, id="with more"),
        pytest.param({"Capabilities": []}, id="of any kind"),
        pytest.param({"Options": {"a": "b"}}, id="with options"),
    ],
)
def test_devices_are_asked_for_as_the_runner_does(request_of_devices: dict[str, object]) -> None:
    asked = document(by_runner(gpus=1))
    asked["HostConfig"]["DeviceRequests"][0] |= request_of_devices
    assert "DeviceRequests" in refusal(asked, GPUS)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("Env", ["NVIDIA_VISIBLE_DEVICES=all"]),
        ("Env", ["HOME=/tmp", "HOME=/"]),
        ("Entrypoint", ["sh", "-c", "id"]),
        ("Entrypoint", []),
        ("Cmd", ["id"]),
        ("Image", "../containers/postgres"),
        ("Image", "a?b"),
        ("Image", "a b"),
        ("Labels", {"com.docker.compose.project": "understudy"}),
        ("Labels", {"org.understudy.stack": "another"}),
        ("Labels", {"org.understudy.name": "\x00"}),
        ("WorkingDir", "/"),
        ("Tty", True),
    ],
)
def test_what_runs_in_it_is_what_our_code_runs(path: str, value: object) -> None:
    assert path in refusal(put(path, value))


def test_a_decoy_beside_the_real_fields_does_not_pass() -> None:
    told = refusal(
        {
            "X": {"a": ["no-new-privileges:true"], "CapDrop": ["ALL"], "ReadonlyRootfs": True},
            "User": "0",
            "HostConfig": {},
        }
    )
    assert "'X' is nothing that a stage or a gateway asks for" in told


def test_the_refusal_is_a_line_whatever_the_client_wrote() -> None:
    told = refusal(put("HostConfig.a\nb\x1b[2J" + "x" * 500, 1))
    assert told.isprintable()
    assert len(told) < 400


OTHERS = ["Binds", "binds", "Privileged", "CapAdd", "capdrop", "Source", "Bindſ", "Devices", "0"]
KEYS = st.sampled_from([*OTHERS, *Description.model_fields, *Host.model_fields])
ATOMS = (
    st.none()
    | st.booleans()
    | st.integers(-2, 3)
    | st.sampled_from(["", "0", "0:0", "host", "bind", "/", "ALL", "none"])
)
THINGS = st.recursive(
    ATOMS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(KEYS, inner, max_size=2), max_leaves=4
)


@st.composite
def changed(draw: st.DrawFn) -> Any:
    """Take what is sent and change it anywhere."""
    told = document(draw(st.sampled_from([by_runner(), by_gateway(), by_runner(gpus=1)])))
    for _ in range(draw(st.integers(1, 3))):
        place: Any = told
        while True:
            inner = [
                key
                for key in (place if isinstance(place, dict) else range(len(place)))
                if place[key] and isinstance(place[key], (dict, list))
            ]
            if not inner or draw(st.booleans()):
                break
            place = place[draw(st.sampled_from(inner))]
        if isinstance(place, list):
            place.append(draw(THINGS))
        else:
            place[draw(st.sampled_from(sorted(place)) | KEYS if place else KEYS)] = draw(THINGS)
    return told


@settings(max_examples=400, deadline=None)
@given(changed())
def test_whatever_is_accepted_is_sealed_in_the_document_that_the_engine_gets(told: Any) -> None:
    try:
        out = written(vetted(json.dumps(told).encode(), GPUS), GPUS)
    except NotHandedOn:
        return
    assert out.isascii()
    created = json.loads(out)
    host = created["HostConfig"]
    assert (host["CapDrop"], host["ReadonlyRootfs"]) == (["ALL"], True)
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Mounts"] == [{"Target": "/understudy", "Type": "volume", "ReadOnly": False}]
    assert host["NetworkMode"] in {"none", "bridge"}
    assert host["Memory"] == host["MemorySwap"] > 0
    assert host["PidsLimit"] > 0
    assert min(int(part) for part in created["User"].split(":")) > 0
    assert created["Labels"][STACK_LABEL] == STACK
    assert created.keys() | host.keys() <= (
        document(by_runner(gpus=1)).keys()
        | document(by_gateway()).keys()
        | document(by_runner(gpus=1))["HostConfig"].keys()
        | document(by_gateway())["HostConfig"].keys()
    )
