"""Quality that is lost within the probation takes the champion back."""

from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from tests.unit.operators.live_traffic import bundle, declare, entries, serve
from tests.unit.operators.look.look import MONITOR, Run, drift, quality
from understudy.contract.words import Change, EntryKind
from understudy.hooks.connect import connect

pytestmark = pytest.mark.usefixtures("look_home")


def test_quality_that_is_lost_in_the_probation_takes_the_champion_back_and_asks() -> None:
    declare(monitor=MONITOR, guard={"probation": "7d"})
    serve(1)
    serve(2)
    run = Run("look1")
    looked = run.decide(drift(), quality(loss=0.9), version=2, since=2)
    current = connect().deployments.current("price")
    assert current is not None
    assert (current.change, current.champion.version, looked.rolled_back_to) == (Change.ROLLBACK, 1, 1)
    monitored, rolled_back = entries(EntryKind.MONITORED)[0], entries(EntryKind.DEPLOYED)[-1]
    assert monitored.seq < rolled_back.seq, "the evidence first"
    assert (rolled_back.actor, rolled_back.run) == ("monitor", monitored.run)
    assert f"ledger entry {monitored.seq}" in rolled_back.reason
    assert connect().deployments.denied("price").keys() == {bundle(2).model_sha256}
    assert run.asked[0]["reasons"] == ["quality"]


def test_a_retry_takes_back_once_and_still_asks() -> None:
    declare(monitor=MONITOR, guard={"probation": "7d"})
    serve(1)
    serve(2)
    Run("look1").decide(drift(), quality(loss=0.9), version=2, since=2)
    retried = Run("look1")
    retried.decide(drift(), quality(loss=0.9), version=2, since=2)
    assert [entry.facts["epoch"] for entry in entries(EntryKind.DEPLOYED)] == [1, 2, 3]
    assert len(retried.asked) == 1


@pytest.mark.parametrize(
    ("guard", "before"), [(None, 1), ({"probation": "1s"}, 1), ({"probation": "7d"}, 0)],
    ids=["no probation declared", "probation over", "nothing to go back to"],
)  # fmt: skip
def test_outside_of_a_probation_lost_quality_only_asks(
    guard: Any, before: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    declare(monitor=MONITOR, guard=guard, serving={} if guard else None)
    for version in range(1, before + 2):
        serve(version)
    run = Run("look1", as_of=datetime.now(timezone.utc) + timedelta(minutes=5))
    looked = run.decide(drift(), quality(loss=0.9), version=before + 1, since=before + 1)
    assert looked.rolled_back_to is None
    assert run.asked[0]["reasons"] == ["quality"]
    assert len(entries(EntryKind.DEPLOYED)) == before + 1


def test_another_champion_than_the_one_looked_at_is_never_taken_back(monkeypatch: pytest.MonkeyPatch) -> None:
    declare(monitor=MONITOR, guard={"probation": "7d"})
    serve(1)
    serve(2)
    record = "understudy.operators.look.decide.take_back"
    from understudy.operators.look.take_back import take_back

    def overtaken(*given: Any) -> Any:
        serve(3)
        return take_back(*given)

    monkeypatch.setattr(record, overtaken)
    looked = Run("look1").decide(drift(), quality(loss=0.9), version=2, since=2)
    current = connect().deployments.current("price")
    assert current is not None
    assert (current.champion.version, looked.rolled_back_to) == (3, None)
