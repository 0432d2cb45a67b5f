"""Rollback through the real ledger and a real MLflow on SQLite."""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.integration.blessed import bless
from tests.integration.trained import trained, write_model
from understudy.contract.airflow_run import AirflowRun
from understudy.contract.by import By
from understudy.contract.release import Blessing, Bundle, Deployment
from understudy.contract.stage import artefact_of
from understudy.contract.words import Alias, Change, EntryKind, LinkKind
from understudy.hooks import cards
from understudy.hooks.deployments import Deployments
from understudy.hooks.errors import (
    ChampionLocked,
    DigestDenied,
    EpochConflict,
    NothingServes,
    NothingToRollBackTo,
    ReasonMissing,
    UnfitTarget,
)
from understudy.hooks.ledger.ledger import Ledger
from understudy.hooks.promotion import promote
from understudy.hooks.registry.errors import RegistryUnavailable
from understudy.hooks.registry.registry import Registry
from understudy.hooks.repair import repair
from understudy.hooks.rollback import plan_rollback, rollback


@dataclass(frozen=True)
class Desk:
    model: str
    home: Path
    deployments: Deployments
    registry: Registry

    def raise_champion(self, number: int, content: int | None = None) -> Bundle:
        weights = (content or number).to_bytes(2, "big") * 500
        folder = write_model(self.home / self.model / f"trained{number}", weights)
        made_by = {
            "image_digest": f"image{number}", "code_commit": f"code{number}", "decision_threshold": number / 10,
        }  # fmt: skip
        bundle = self.registry.register(trained(self.model, number, folder, **made_by))
        promote(
            self.deployments, self.registry, self.bless(bundle), by=By(actor="ann", reason="weekly", run=bundle.run)
        )
        return bundle

    def bless(self, challenger: Bundle) -> Blessing:
        return bless(self.deployments, challenger)

    def rollback(
        self,
        target: int | None = None,
        run: str | None = None,
        registry: Registry | None = None,
        only_since: int | None = None,
    ) -> Deployment:
        return rollback(
            self.deployments,
            registry or self.registry,
            self.model,
            target,
            by=By(actor="ann", reason="it answers backwards", run=run),
            only_since=only_since,
        )

    def lose(self, bundle: Bundle, everywhere: bool = True) -> None:
        shutil.rmtree(self.home / "bundles" / self.model / str(bundle.version), ignore_errors=True)
        if everywhere:
            with self.registry._mlflow.asking() as client:
                source = str(client.get_model_version(self.model, str(bundle.version)).source)
            shutil.rmtree(source.removeprefix("file://"))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rollback")


@pytest.fixture
def desk(home: Path, tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Desk]:
    """Give each test a model of its own in one registry, and a ledger of its own."""
    ledger = Ledger(f"sqlite:///{tmp_path / 'ledger.db'}")
    registry = Registry(f"sqlite:///{home / 'mlflow.db'}", (home / "artifacts").as_uri(), home / "bundles")
    yield Desk(f"m{abs(hash(request.node.name))}", home, Deployments(ledger), registry)
    assert ledger.verify().ok


@pytest.fixture
def dead(home: Path, tmp_path: Path) -> Registry:
    (tmp_path / "dead.db").mkdir()
    return Registry(f"sqlite:///{tmp_path / 'dead.db'}", tmp_path.as_uri(), home / "bundles")


def test_a_rollback_keeps_the_name_of_its_run_in_airflow_and_the_data_of_both_versions(desk: Desk) -> None:
    desk.raise_champion(1)
    desk.raise_champion(2)
    run = AirflowRun(dag_id="rollback", run_id="manual__1")
    by = By(actor="ann", reason="it answers backwards", run="rollback-1", airflow=run)
    rollback(desk.deployments, desk.registry, desk.model, by=by)
    ledger = desk.deployments.ledger
    written = ledger.entries(desk.model, [EntryKind.DEPLOYED])[-1]
    links = cards.card(ledger, written.seq).links
    assert [link.name for link in links if link.kind is LinkKind.DAG_RUN] == ["rollback/manual__1"]
    assert {link.name: link.about for link in links if link.kind is LinkKind.DATA_VERSION} == {
        "data1": "version 1, which serves again",
        "data2": "version 2, which was taken back",
    }


def test_the_whole_bundle_returns(desk: Desk) -> None:
    first, second = desk.raise_champion(1), desk.raise_champion(2)
    record = desk.rollback()
    assert (record.epoch, record.change, record.champion, record.previous) == (3, Change.ROLLBACK, first, None)
    assert desk.deployments.confirmed(desk.model) == record
    assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 1}
    assert desk.deployments.denied(desk.model) == {second.model_sha256: "it answers backwards"}
    assert record.champion.reference_data == "data1", "drift is measured against the returned version's window"
    denial = desk.deployments.ledger.entries(desk.model, [EntryKind.DENIED])[0]
    assert (denial.actor, denial.facts["version"], denial.facts["data_version"]) == ("ann", 2, "data2")
    assert desk.registry.tags(second)["suspect_data"] == "data2"


def test_rolling_back_again_goes_further_back(desk: Desk) -> None:
    bundles = [desk.raise_champion(number) for number in (1, 2, 3)]
    assert [desk.rollback().champion for _ in range(2)] == [bundles[1], bundles[0]]
    with pytest.raises(NothingToRollBackTo, match="retrain"):
        desk.rollback()
    assert len(desk.deployments.denied(desk.model)) == 2


def test_what_was_rolled_back_is_not_promoted_again(desk: Desk) -> None:
    desk.raise_champion(1)
    second = desk.raise_champion(2)
    desk.rollback()
    with pytest.raises(DigestDenied, match="it answers backwards"):
        promote(desk.deployments, desk.registry, desk.bless(second), by=By(actor="ann", reason="again"))


def test_a_version_that_never_served_is_no_target(desk: Desk) -> None:
    first = desk.raise_champion(1)
    desk.raise_champion(2)
    folder = desk.home / desk.model / "trained1"
    (folder / "weights.bin").write_bytes(b"newer")
    challenger = desk.registry.register(trained(desk.model, 3, folder))
    assert challenger.version == 3
    with pytest.raises(UnfitTarget, match=r"never served.*choose from: 1\."):
        desk.rollback(3)
    assert desk.rollback().champion == first


def test_a_named_version_may_lie_further_back(desk: Desk) -> None:
    bundles = [desk.raise_champion(number) for number in (1, 2, 3)]
    record = desk.rollback(1)
    assert record.champion == bundles[0]
    assert record.previous == bundles[1]


@pytest.mark.parametrize(
    ("target", "problem"),
    [(3, r"version 3 serves now, since .* UTC by ann \("), (2, "is denied"), (9, "never served"), (0, "never served")],
)
def test_an_unfit_target_is_refused_with_the_fit_ones(desk: Desk, target: int, problem: str) -> None:
    for number in (1, 2):
        desk.raise_champion(number)
    desk.rollback()
    desk.raise_champion(3)
    before = desk.deployments.current(desk.model)
    with pytest.raises(UnfitTarget, match=problem) as refused:
        desk.rollback(target)
    assert refused.value.fit == (1,)
    assert desk.deployments.current(desk.model) == before


def test_the_same_files_under_another_number_are_no_way_back(desk: Desk) -> None:
    first = desk.raise_champion(1)
    desk.raise_champion(2, content=7)
    desk.raise_champion(3, content=7)
    with pytest.raises(UnfitTarget, match="files are those of the version that serves now"):
        desk.rollback(2)
    assert desk.rollback().champion == first


def test_an_unconfirmed_version_is_no_target(desk: Desk) -> None:
    first = desk.raise_champion(1)
    second = desk.raise_champion(2)
    never = second.model_copy(update={"version": 7, "model_sha256": "f" * 64})
    for epoch, bundle in ((3, never), (4, second)):
        record = Deployment(model=desk.model, epoch=epoch, change=Change.PROMOTION, champion=bundle, previous=first)
        desk.deployments.deploy(record, epoch - 1, By(actor="ann", reason="x"))
    with pytest.raises(UnfitTarget, match="never confirmed"):
        desk.rollback(7)
    assert desk.rollback().champion == first


def test_nothing_serves_yet(desk: Desk) -> None:
    with pytest.raises(NothingServes, match="retrain"):
        desk.rollback()


@pytest.mark.parametrize("reason", ["", "  \n ", "x" * 2_001])
def test_a_reason_is_required(desk: Desk, reason: str) -> None:
    for number in (1, 2):
        desk.raise_champion(number)
    with pytest.raises(ReasonMissing):
        rollback(desk.deployments, desk.registry, desk.model, by=By(actor="ann", reason=reason))
    assert desk.deployments.current(desk.model) is not None
    assert desk.deployments.denied(desk.model) == {}


def test_a_locked_champion_is_not_taken_back(desk: Desk) -> None:
    for number in (1, 2):
        desk.raise_champion(number)
    desk.deployments.ledger.append(desk.model, EntryKind.LOCKED, "ann", "audit", facts={"version": 2})
    with pytest.raises(ChampionLocked, match="Unlock it first"):
        desk.rollback()
    desk.deployments.ledger.append(desk.model, EntryKind.UNLOCKED, "ann", "audit is over", facts={"version": 2})
    assert desk.rollback().champion.version == 1


def test_a_plan_changes_nothing(desk: Desk) -> None:
    first, second = desk.raise_champion(1), desk.raise_champion(2)
    written = desk.deployments.ledger.entries()
    plan = plan_rollback(desk.deployments, desk.registry, desk.model)
    assert (plan.epoch, plan.champion, plan.target, plan.previous) == (3, second, first, None)
    assert "from version 2 to version 1" in plan.sentence
    assert desk.deployments.ledger.entries() == written
    record = desk.rollback()
    assert (record.epoch, record.champion, record.previous) == (plan.epoch, plan.target, plan.previous)


def test_a_retried_rollback_does_not_go_back_twice(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.raise_champion(number)
    record = desk.rollback(run="rollback-1")
    assert desk.rollback(run="rollback-1") == record
    assert desk.rollback(run="rollback-2").champion.version == 1


def test_a_champion_that_came_in_between_is_not_taken_back(desk: Desk) -> None:
    for number in (1, 2, 3):
        desk.raise_champion(number)
    with pytest.raises(EpochConflict, match="at epoch 3, not 2"):
        desk.rollback(run="guard-of-version-2", only_since=2)
    serving = desk.deployments.current(desk.model)
    assert serving is not None
    assert serving.champion.version == 3
    assert desk.rollback(run="guard-of-version-3", only_since=3).champion.version == 2


def test_it_works_with_the_registry_down(desk: Desk, dead: Registry) -> None:
    first = desk.raise_champion(1)
    second = desk.raise_champion(2)
    record = desk.rollback(registry=dead)
    assert record.champion == first
    assert desk.deployments.confirmed(desk.model) == record
    assert desk.registry.aliases(desk.model)[Alias.CHAMPION] == 2
    repair(desk.deployments, desk.registry, desk.model)
    assert desk.registry.aliases(desk.model) == {Alias.CHAMPION: 1}
    assert desk.registry.tags(second)["denied"] == "it answers backwards"


def test_after_a_rollback_the_next_one_works_with_the_registry_down_too(desk: Desk, dead: Registry) -> None:
    bundles = [desk.raise_champion(number) for number in (1, 2, 3)]
    assert desk.rollback().champion == bundles[1]
    assert desk.rollback(registry=dead).champion == bundles[0]


def test_with_the_registry_down_and_no_local_copy_the_record_stays(desk: Desk, dead: Registry) -> None:
    first = desk.raise_champion(1)
    desk.raise_champion(2)
    desk.lose(first, everywhere=False)
    before = desk.deployments.current(desk.model)
    with pytest.raises(RegistryUnavailable):
        desk.rollback(registry=dead)
    assert desk.deployments.current(desk.model) == before
    assert desk.deployments.denied(desk.model) == {}
    assert desk.rollback().champion == first


def test_a_spoiled_local_copy_is_replaced_by_the_registered_files(desk: Desk) -> None:
    first = desk.raise_champion(1)
    desk.raise_champion(2)
    copy = desk.home / "bundles" / desk.model / "1"
    (copy / "weights.bin").write_bytes(b"spoiled")
    assert desk.rollback().champion == first
    assert artefact_of(copy, copy.parent).sha256 == first.model_sha256


def test_lost_files_are_said_with_what_is_left(desk: Desk) -> None:
    bundles = [desk.raise_champion(number) for number in (1, 2, 3)]
    desk.lose(bundles[1])
    before = desk.deployments.current(desk.model)
    with pytest.raises(NothingToRollBackTo, match=r"version 2 .* are gone.*served before: 1; name one") as lost:
        desk.rollback()
    assert lost.value.left == (1,)
    assert desk.deployments.current(desk.model) == before
    assert desk.rollback(1).champion == bundles[0]
