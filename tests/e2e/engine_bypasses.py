"""Ways around the proxy that an auditor found, and more: each as the bytes that a client would send."""

import json
from copy import deepcopy
from typing import Any, NamedTuple

from tests.unit.engine_proxy.fake_engine import written
from tests.unit.engine_proxy.sent import by_runner

CREATE = "/v1.41/containers/create?name=understudy-bypass"
UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")


class Bypass(NamedTuple):
    """What is tried, and how."""

    what: str
    sent: bytes


def create(image: str, change: dict[str, Any] | None = None, host: dict[str, Any] | None = None) -> bytes:
    """Ask for a stage's container, but otherwise than a runner would."""
    asked = deepcopy(json.loads(by_runner()))
    asked["Image"] = image
    asked |= change or {}
    asked["HostConfig"] |= host or {}
    return json.dumps(asked, ensure_ascii=False).encode()


def descriptions(image: str) -> list[Bypass]:
    """Describe containers that would get out of their box."""
    volume = json.loads(by_runner())["HostConfig"]["Mounts"][0]
    disguised = {"DriverConfig": {"Name": "local", "Options": {"device": "/etc", "o": "bind", "type": "none"}}}
    decoy = {
        "X": {"a": ["no-new-privileges:true"], "CapDrop": ["ALL"], "ReadonlyRootfs": True},
        "User": "0",
        "Image": image,
        "HostConfig": {},
    }
    twice = create(image).replace(b'"CapDrop": ["ALL"]', b'"CapDrop": ["ALL"], "capdrop": [], "Privileged": true')
    bodies = {
        "the machine's files, with a long s": create(image, host={"Bindſ": ["/etc:/host:ro"]}),
        "the machine's files": create(image, host={"Binds": ["/etc:/host:ro"]}),
        "the machine's files, as a mount": create(
            image, host={"Mounts": [{**volume, "Type": "bind", "Source": "/etc"}]}
        ),
        "the machine's files, as a volume": create(image, host={"Mounts": [{**volume, "VolumeOptions": disguised}]}),
        "the machine's files, as volumes of another": create(image, host={"VolumesFrom": ["postgres"]}),
        "somebody else's volume": create(image, host={"Mounts": [{**volume, "Source": "understudy_postgres"}]}),
        "a volume elsewhere": create(image, {"Volumes": {"/etc": {}}}),
        "decoys of what seals": json.dumps(decoy).encode(),
        "a key twice, in two cases": twice,
        "another document behind the first": create(image) + b'{"HostConfig":{"Privileged":true}}',
        "privileged": create(image, host={"Privileged": True}),
        "privileged, in another case": create(image, host={"privileged": True}),
        "a capability": create(image, host={"CapAdd": ["SYS_ADMIN"]}),
        "all rights kept": create(image, host={"CapDrop": []}),
        "a root that can be written": create(image, host={"ReadonlyRootfs": False}),
        "new privileges": create(image, host={"SecurityOpt": []}),
        "no seccomp": create(image, host={"SecurityOpt": ["seccomp=unconfined", "no-new-privileges:true"]}),
        "root": create(image, {"User": "0:0"}),
        "the machine's processes": create(image, host={"PidMode": "host"}),
        "the machine's network": create(image, host={"NetworkMode": "host"}),
        "another container's network": create(image, host={"NetworkMode": "container:postgres"}),
        "the stack's own network": create(image, host={"NetworkMode": "understudy_inside"}),
        "the stack's own network, as a second one": create(
            image, {"NetworkingConfig": {"EndpointsConfig": {"understudy_inside": {}}}}
        ),
        "a device": create(image, host={"Devices": [{"PathOnHost": "/dev/sda"}]}),
        "GPUs": create(
            image,
            host={
                "DeviceRequests": [
                    {"Driver": "", "Count": -1, "DeviceIDs": [], "Capabilities": [["gpu"]], "Options": {}}
                ]
            },
        ),
        "a log that the engine sends elsewhere": create(image, host={"LogConfig": {"Type": "syslog", "Config": {}}}),
        "a command of one's own": create(image, {"Entrypoint": ["sh", "-c", "id"]}),
        "a published port": create(image, host={"PortBindings": {"80/tcp": [{"HostPort": "80"}]}}),
        "the label of the stack": create(image, {"Labels": {"org.understudy.stack": "another"}}),
        "more than is read": create(image) + b" " * 70_000,
    }
    found = [
        Bypass(what, written("POST", CREATE, body, "Content-Type: application/json")) for what, body in bodies.items()
    ]
    chunked = create(image, host={"Privileged": True})
    head = f"POST {CREATE} HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    chunks = b"".join(b"1\r\n%b\r\n" % chunked[at : at + 1] for at in range(len(chunked)))
    return [*found, Bypass("privileged, in chunks of a byte", head + chunks + b"0\r\n\r\n")]


def acts_on(container: str) -> list[Bypass]:
    """Act on a container that is not ours."""
    at, of_old = f"/v1.41/containers/{container}", f"/containers/{container}/start"
    rights, remove = '{"Binds":["/etc:/host:ro"],"CapAdd":["NET_RAW"]}', written("DELETE", f"{at}?force=1")
    return [
        Bypass("look at it", written("GET", f"{at}/json")),
        Bypass("read its log", written("GET", f"{at}/logs?follow=0&stdout=1&stderr=1")),
        Bypass("measure it", written("GET", f"{at}/stats?stream=0&one-shot=1")),
        Bypass("read its files", written("GET", f"{at}/archive?path=/understudy/answer")),
        Bypass("read any of its files", written("GET", f"{at}/archive?path=/etc/passwd")),
        Bypass("write its files", written("PUT", f"{at}/archive?path=/understudy", b"x")),
        Bypass("speak to it", written("POST", f"{at}/attach?stdin=1&stream=1", "", *UPGRADE)),
        Bypass("start it", written("POST", f"{at}/start")),
        Bypass("start it with rights, as the engine of old let one", written("POST", f"/v1.23{of_old}", rights)),
        Bypass("start it with a body", written("POST", f"{at}/start", '{"Privileged":true}')),
        Bypass("kill it", written("POST", f"{at}/kill")),
        Bypass("run something in it", written("POST", f"{at}/exec", '{"Cmd":["id"]}')),
        Bypass("make an image of it", written("POST", f"/v1.41/commit?container={container}", "{}")),
        Bypass("rename it", written("POST", f"{at}/rename?name=understudy-x")),
        Bypass("remove it", written("DELETE", f"{at}?v=1&force=1")),
        Bypass("remove it behind a harmless request", written("GET", "/_ping") + remove),
        Bypass("remove it in the body of a harmless request", written("GET", "/_ping", remove)),
    ]  # fmt: skip


ELSEWHERE = [
    Bypass(path, written(*path.split(" ")))
    for path in (
        "GET /v1.41/info",
        "GET /v1.41/events",
        "GET /v1.41/images/json",
        "POST /v1.41/images/create?fromImage=x",
        "POST /v1.41/build",
        "POST /v1.41/volumes/create",
        "GET /v1.41/volumes",
        "DELETE /v1.41/volumes/understudy_postgres",
        "POST /v1.41/networks/understudy_inside/connect",
        "POST /v1.41/exec/1/start",
        "POST /v1.41/containers/prune",
        "GET /v1.41/containers/nobody/%2e%2e/json",
        "GET /v1.41/secrets",
    )
]
