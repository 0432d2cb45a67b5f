"""What may be asked of the engine is a short list, and what is handed on is written anew."""

import pytest

from understudy.engine_proxy.refusals import NotAsked, NotHandedOn, Unreadable
from understudy.engine_proxy.routes import Act, read_route


@pytest.mark.parametrize(
    ("method", "target"),
    [
        ("GET", "/info"),
        ("GET", "/v1.41/info"),
        ("GET", "/v1.41/events"),
        ("GET", "/v1.41/images/json"),
        ("GET", "/v1.41/images/x/history"),
        ("GET", "/v1.41/images/x/get"),
        ("POST", "/v1.41/images/create?fromImage=x"),
        ("POST", "/v1.41/images/load"),
        ("DELETE", "/v1.41/images/x"),
        ("POST", "/v1.41/build"),
        ("POST", "/v1.41/commit?container=x"),
        ("POST", "/v1.41/session"),
        ("POST", "/v1.41/auth"),
        ("POST", "/v1.41/containers/x/exec"),
        ("POST", "/v1.41/exec/x/start"),
        ("POST", "/v1.41/containers/x/update"),
        ("POST", "/v1.41/containers/x/kill"),
        ("POST", "/v1.41/containers/x/rename?name=y"),
        ("POST", "/v1.41/containers/x/wait"),
        ("POST", "/v1.41/containers/x/copy"),
        ("POST", "/v1.41/containers/prune"),
        ("GET", "/v1.41/containers/x/export"),
        ("GET", "/v1.41/containers/x/top"),
        ("GET", "/v1.41/containers/x/changes"),
        ("GET", "/v1.41/containers/x/attach/ws"),
        ("HEAD", "/v1.41/containers/x/archive?path=/"),
        ("GET", "/v1.41/volumes"),
        ("POST", "/v1.41/volumes/create"),
        ("DELETE", "/v1.41/volumes/x"),
        ("GET", "/v1.41/networks"),
        ("POST", "/v1.41/networks/x/connect"),
        ("GET", "/v1.41/secrets"),
        ("POST", "/v1.41/swarm/init"),
        ("POST", "/v1.41/plugins/pull"),
        ("GET", "/v1.41/distribution/x/json"),
        ("GET", "/v1.41/system/df"),
        ("OPTIONS", "/v1.41/version"),
        ("post", "/v1.41/containers/create"),
    ],
)
def test_what_ours_never_ask_is_refused(method: str, target: str) -> None:
    with pytest.raises(NotAsked, match=r"docs/compose\.md lists what it hands on"):
        read_route(method, target)


@pytest.mark.parametrize(
    "version", ["", "/v1.12", "/v1.23", "/v1.40", "/v1.041", "/v1.100", "/v2.41", "/v1.٤٢", "/V1.41"]
)
def test_a_version_of_the_api_that_takes_rights_elsewhere_is_refused(version: str) -> None:
    with pytest.raises(NotAsked):
        read_route("POST", f"{version}/containers/x/start")


@pytest.mark.parametrize(
    "path",
    [
        "/v1.41/containers/../volumes",
        "/v1.41/containers/%2e%2e/json",
        "/v1.41/containers/x%2f..%2fy/json",
        "/v1.41/containers/x/../y/json",
        "/v1.41//containers/x/json",
        "//v1.41/containers/x/json",
        "/v1.41/containers/x/json/",
        "/v1.41/containers//json",
        "/v1.41/containers/-x/json",
        "/v1.41/containers/x%00/json",
        "/v1.41/containers/x%0d%0aHost:y/json",
        "/v1.41/containers/x%0a/json",
        "/v1.41/containers/%25/json",
        "/v1.41/images/../containers/x/json",
        "/v1.41/images/x/../../containers/x/json",
        "/v1.41/images/x//y/json",
        "/v1.41/images/x%3fy/json",
        "/v1.41/images/./x/json",
        "/v1.41/images/x/json%20HTTP",
        "http://docker/v1.41/containers/x/json",
        "*",
        "",
        "/v1.41/containers/x/json#a",
        "/v1.41/containers/x/json;a",
    ],
)
def test_a_path_that_could_mean_another_one_is_refused(path: str) -> None:
    with pytest.raises(NotHandedOn):
        read_route("GET", path)


@pytest.mark.parametrize(
    "query",
    [
        "v=1&v=0",
        "v=1;force=1",
        "v",
        "=1",
        "v=2",
        "v=1&signal=9",
        "link=1",
        "v=%ff",
        "v=1&",
        "%76=1",
        "V=1",
    ],
)
def test_a_query_is_what_ours_say_or_nothing(query: str) -> None:
    with pytest.raises((NotAsked, Unreadable)):
        read_route("DELETE", f"/v1.41/containers/x?{query}")


@pytest.mark.parametrize("target", ["?name=a&name=b", "?name=a;force=1", "?name", "?name=%ff", "%ff?name=a"])
def test_what_two_readers_could_read_differently_is_unreadable_also_where_any_value_may_be_said(target: str) -> None:
    with pytest.raises(Unreadable):
        read_route("POST", f"/v1.41/containers/create{target}")


@pytest.mark.parametrize(
    "path", ["/", "/understudy/../etc", "/understudy/", "/etc", "/understudy/answer", "", "understudy"]
)
def test_files_go_into_the_volume_only(path: str) -> None:
    with pytest.raises(NotAsked):
        read_route("PUT", f"/v1.41/containers/x/archive?path={path}")


@pytest.mark.parametrize("path", ["/", "/understudy", "/understudy/answer/../..", "/understudy/inputs"])
def test_only_the_answer_comes_out(path: str) -> None:
    with pytest.raises(NotAsked):
        read_route("GET", f"/v1.41/containers/x/archive?path={path}")


def test_what_ours_ask_is_read_and_its_words_are_replaced_by_ours() -> None:
    asked = read_route("DELETE", "/v1.41/containers/understudy-m?v=True&link=False&force=True")
    assert (asked.act, asked.version, asked.name) == (Act.REMOVE, "/v1.41", "understudy-m")
    assert asked.query == {"v": "1", "link": "0", "force": "1"}
    image = read_route("GET", "/v1.52/images/registry:5000/a/b%40sha256:0f/json")
    assert (image.act, image.version, image.name) == (Act.LOOK_AT_IMAGE, "/v1.52", "registry:5000/a/b@sha256:0f")
