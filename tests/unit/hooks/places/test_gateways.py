"""All replicas at once: who acknowledged, who lags and why; what is said where something is wrong."""

import socket
import threading
from collections.abc import Iterator
from datetime import datetime, timezone
from pathlib import Path

import pytest
from pydantic import SecretStr

from tests.integration.fake_gateway import TOKEN, FakeGateway, running
from understudy.contract.declaration.serving import ServingSpec
from understudy.contract.live.rehearsal import RehearsalsDiffer
from understudy.contract.release import Bundle, Deployment
from understudy.contract.serving import Lagging, ModelStatus, PrepareOrder, RehearsalQuery, ServingOrder, ServingTerms
from understudy.contract.stage import artefact_of
from understudy.contract.words import Change, MlTask
from understudy.hooks.places.gateway_errors import (
    FilesMissingAtGateway,
    GatewayRefused,
    GatewayTokenMissing,
    GatewayTokenRefused,
    GatewayTokenUnfit,
    GatewayUnreachable,
)
from understudy.hooks.places.gateways import Gateways

TERMS = ServingTerms(task=MlTask.BINARY, serving=ServingSpec())
QUERY = RehearsalQuery(
    champion_version=1, mirror_version=2, since=datetime(2026, 1, 1, tzinfo=timezone.utc), block_s=3600
)


def bundle(version: int, digest: str | None = None) -> Bundle:
    return Bundle(
        model="demand",
        version=version,
        model_sha256=digest or str(version) * 64,
        image_digest="i",
        code_commit="c",
        spec_sha256="s",
        data_version="d",
        run="r",
        reference_data="d",
    )


def order(champion: Bundle, epoch: int = 1) -> ServingOrder:
    record = Deployment(model="demand", epoch=epoch, change=Change.PROMOTION, champion=champion, previous=None)
    return ServingOrder(record=record, terms=TERMS)


@pytest.fixture
def pair() -> Iterator[tuple[FakeGateway, FakeGateway]]:
    with running("east", "west") as (east, west):
        yield east, west


def of(*gateways: FakeGateway, bundles: Path = Path("/nowhere"), token: SecretStr | None = TOKEN) -> Gateways:
    return Gateways(tuple(gateway.url for gateway in gateways), token, bundles)


def test_every_replica_acknowledges(pair: tuple[FakeGateway, FakeGateway]) -> None:
    confirmation = of(*pair).apply(order(bundle(3)))
    assert [(ack.gateway, ack.version, ack.epoch) for ack in confirmation.acks] == [("east", 3, 1), ("west", 3, 1)]
    assert not confirmation.lagging
    assert [gateway.version("demand") for gateway in pair] == [3, 3]


def test_one_that_is_down_lags_and_the_others_serve(pair: tuple[FakeGateway, FakeGateway]) -> None:
    _east, west = pair
    west.is_down = True
    confirmation = of(*pair).apply(order(bundle(3)), within_s=5)
    assert [ack.gateway for ack in confirmation.acks] == ["east"]
    (late,) = confirmation.lagging
    assert late.gateway == west.url
    assert "disconnected" in late.problem


def test_one_that_hangs_is_not_waited_for_longer_than_said(pair: tuple[FakeGateway, FakeGateway]) -> None:
    west = pair[1]
    west.hangs = threading.Event()
    confirmation = of(*pair).apply(order(bundle(3)), within_s=5)
    west.hangs.set()
    assert [late.gateway for late in confirmation.lagging] == [west.url]
    assert "no answer within" in confirmation.lagging[0].problem


def test_one_that_comes_back_in_time_acknowledges(pair: tuple[FakeGateway, FakeGateway]) -> None:
    _east, west = pair
    west.is_down, west.comes_back_after = True, 2
    confirmation = of(*pair).apply(order(bundle(3)), within_s=60)
    assert {ack.gateway for ack in confirmation.acks} == {"east", "west"}


def test_a_refusal_is_not_asked_for_twice(pair: tuple[FakeGateway, FakeGateway]) -> None:
    east, _west = pair
    east.refuses[3] = "the model does not load"
    confirmation = of(*pair).apply(order(bundle(3)), within_s=60)
    assert [(late.gateway, late.problem) for late in confirmation.lagging] == [(east.url, "the model does not load")]
    assert len(east.asked) == 1


def test_one_that_serves_a_newer_record_says_so(pair: tuple[FakeGateway, FakeGateway]) -> None:
    gateways = of(*pair)
    gateways.apply(order(bundle(4), epoch=2))
    confirmation = gateways.apply(order(bundle(3), epoch=1), within_s=60)
    assert ["epoch 2" in late.problem for late in confirmation.lagging] == [True, True]


def test_missing_files_are_sent(pair: tuple[FakeGateway, FakeGateway], tmp_path: Path) -> None:
    west = pair[1]
    folder = tmp_path / "demand" / "3"
    (folder / "data" / "__pycache__").mkdir(parents=True)
    (folder / "MLmodel").write_text("flavors: {}")
    (folder / "data" / "weights.bin").write_bytes(b"x" * 200_000)
    (folder / "data" / "__pycache__" / "x.pyc").write_bytes(b"x")
    kept = bundle(3, artefact_of(folder, tmp_path).sha256)
    west.lacks.add(3)
    gateways = of(*pair, bundles=tmp_path)
    gateways.prepare(PrepareOrder(bundle=kept, terms=TERMS))
    assert west.uploads == {3: (kept.model_sha256, ["MLmodel", "data/weights.bin"])}
    assert [gateway.prepared for gateway in pair] == [[3], [3]]
    west.lacks.add(3)
    assert len(gateways.apply(order(kept)).acks) == 2


def test_files_that_are_not_intact_here_are_not_sent(pair: tuple[FakeGateway, FakeGateway], tmp_path: Path) -> None:
    (tmp_path / "demand" / "3").mkdir(parents=True)
    (tmp_path / "demand" / "3" / "MLmodel").write_text("another model")
    pair[1].lacks.add(3)
    gateways = of(*pair, bundles=tmp_path)
    with pytest.raises(FilesMissingAtGateway, match="no intact copy"):
        gateways.prepare(PrepareOrder(bundle=bundle(3), terms=TERMS))
    assert "no intact copy" in gateways.apply(order(bundle(3))).lagging[0].problem
    assert pair[1].uploads == {}


def test_prepare_names_a_refusal_before_a_failure(pair: tuple[FakeGateway, FakeGateway]) -> None:
    east, west = pair
    east.is_down = True
    with pytest.raises(GatewayUnreachable):
        of(*pair).prepare(PrepareOrder(bundle=bundle(3), terms=TERMS))
    west.refuses[3] = "its digest is another one."
    with pytest.raises(GatewayRefused, match=r"refused: its digest is another one\. What serves"):
        of(*pair).prepare(PrepareOrder(bundle=bundle(3), terms=TERMS))


def test_status_shows_what_each_one_serves(pair: tuple[FakeGateway, FakeGateway]) -> None:
    of(*pair).apply(order(bundle(3)))
    pair[1].is_down = True
    east, west = of(*pair).status("demand")
    assert isinstance(east, ModelStatus)
    assert (east.gateway, east.version, east.epoch) == ("east", 3, 1)
    assert isinstance(west, Lagging)


def test_nothing_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{bound.getsockname()[1]}"
        (late,) = Gateways((url,), TOKEN, Path("/nowhere")).apply(order(bundle(1)), within_s=0.3).lagging
    assert late.gateway == url


@pytest.mark.parametrize("url", ["http://", "not a url", "http://[::1", "ftp://127.0.0.1"])
def test_an_impossible_address_is_said(url: str) -> None:
    (late,) = Gateways((url,), TOKEN, Path("/nowhere")).status("demand")
    assert isinstance(late, Lagging)
    assert "AIRFLOW__UNDERSTUDY__GATEWAYS" in late.problem


def test_a_proxy_of_the_outside_world_is_not_asked_about_this_machine(
    pair: tuple[FakeGateway, FakeGateway], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
    assert len(of(*pair).apply(order(bundle(3))).acks) == 2


class TestToken:
    def test_it_is_needed(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        with pytest.raises(GatewayTokenMissing, match="GATEWAY_TOKEN"):
            of(*pair, token=None).prepare(PrepareOrder(bundle=bundle(3), terms=TERMS))

    def test_a_wrong_one_is_said(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        with pytest.raises(GatewayTokenRefused) as refused:
            of(*pair, token=SecretStr("hunter2")).prepare(PrepareOrder(bundle=bundle(3), terms=TERMS))
        assert "hunter2" not in str(refused.value)

    def test_one_that_no_header_can_carry_is_not_repeated(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        with pytest.raises(GatewayTokenUnfit) as unfit:
            of(*pair, token=SecretStr("hun\nter2")).prepare(PrepareOrder(bundle=bundle(3), terms=TERMS))
        assert "ter2" not in str(unfit.value)


class TestProbe:
    def kept(self, folder: Path, facts: str) -> Path:
        files = folder / "demand" / "3"
        files.mkdir(parents=True)
        (files / "understudy.json").write_text(facts)
        (files / "serving_input_example.json").write_text('{"dataframe_split": {}}')
        return folder

    def test_the_stored_example_is_sent(self, pair: tuple[FakeGateway, FakeGateway], tmp_path: Path) -> None:
        gateways = of(*pair, bundles=self.kept(tmp_path, '{"prepare": null}'))
        gateways.apply(order(bundle(3)))
        assert gateways.probe("demand", 3, 1) == ()
        assert pair[0].probes == [("/models/demand/invocations", b'{"dataframe_split": {}}')]

    def test_an_example_of_prepared_features_is_not(
        self, pair: tuple[FakeGateway, FakeGateway], tmp_path: Path
    ) -> None:
        gateways = of(*pair, bundles=self.kept(tmp_path, '{"prepare": "trainer:prepare"}'))
        gateways.apply(order(bundle(3)))
        assert gateways.probe("demand", 3, 1) == ()
        assert pair[0].probes == [("/models/demand/version", b"")]

    def test_another_version_is_found_out(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        gateways = of(*pair)
        gateways.apply(order(bundle(3)))
        pair[1].answers_as = 2
        (wrong,) = gateways.probe("demand", 3, 1)
        assert (wrong.gateway, wrong.epoch) == (pair[1].url, 1)
        assert "version 2" in wrong.problem

    def test_a_newer_record_is_right_as_well(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        gateways = of(*pair)
        gateways.apply(order(bundle(4), epoch=2))
        assert gateways.probe("demand", 3, 1) == ()


class TestRehearsal:
    def test_reports_add_up(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        report = of(*pair).rehearsal("demand", QUERY)
        assert (report.gateways, report.pairs, report.champion.requests) == (("east", "west"), 20, 20)
        assert [(block.rows, block.champion_loss, block.mirror_loss) for block in report.blocks] == [(20, 2.0, 1.0)]

    def test_a_missing_replica_is_no_smaller_sum(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        pair[1].is_down = True
        with pytest.raises(GatewayUnreachable):
            of(*pair).rehearsal("demand", QUERY)

    def test_other_versions_are_not_added(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        pair[1].report = pair[1].tally(QUERY.model_copy(update={"mirror_version": 9}))
        with pytest.raises(RehearsalsDiffer, match="1/2, demand 1/9"):
            of(*pair).rehearsal("demand", QUERY)
        pair[1].report = pair[0].tally(QUERY)
        with pytest.raises(RehearsalsDiffer, match="east is counted twice"):
            of(*pair).rehearsal("demand", QUERY)

    def test_histograms_over_other_edges_are_left_out(self, pair: tuple[FakeGateway, FakeGateway]) -> None:
        for gateway, edge in zip(pair, (0.5, 0.5), strict=True):
            gateway.report = gateway.tally(QUERY).model_copy(
                update={"score_edges": (edge,), "champion_scores": (4, 6), "mirror_scores": (5, 5)}
            )
        assert of(*pair).rehearsal("demand", QUERY).champion_scores == (8, 12)
        assert pair[1].report is not None
        pair[1].report = pair[1].report.model_copy(update={"score_edges": (0.6,)})
        report = of(*pair).rehearsal("demand", QUERY)
        assert (report.score_edges, report.champion_scores, report.pairs) == ((), (), 20)
