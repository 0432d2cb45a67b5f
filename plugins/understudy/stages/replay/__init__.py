"""Play retraining policies over a model's own past. A container does one part: trainings, a walk, or the report."""

import logging
import time
from typing import TYPE_CHECKING

from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.moment import moment
from understudy.contract.replay.plan import ReplayPlan
from understudy.contract.replay.report import Walk
from understudy.contract.words import ReplayPart
from understudy.stages.context import Refused, StageContext, StageOutput, stage

if TYPE_CHECKING:
    from understudy.stages.replay.history import History

log = logging.getLogger(__name__)
DATA = "data.parquet"
TRAININGS = "trainings"


@stage
def run(context: StageContext) -> StageOutput:
    """Do one part of a replay; needs ``data.parquet``, takes ``code``.

    ``params``: ``part`` and ``plan``; for ``train`` the ``places`` to train at, which writes ``trainings``; for
    ``walk`` the ``policies`` by name, which needs ``trainings``; for ``report`` the ``walks``, which needs
    ``trainings`` and writes ``report``.
    """
    from understudy.stages.replay.history import read_history

    spec = ModelSpec.model_validate(context.request.spec)
    plan = ReplayPlan.model_validate(context.request.params.get("plan"))
    history = read_history(context.inputs[DATA], spec, plan.grid)
    do = {ReplayPart.TRAIN: _train, ReplayPart.WALK: _walk, ReplayPart.REPORT: _report}
    return do[ReplayPart(str(context.request.params.get("part")))](context, plan, history)


def _train(context: StageContext, plan: ReplayPlan, history: "History") -> StageOutput:
    from understudy.stages.replay.memory import write_training
    from understudy.stages.replay.training import train_at

    folder = context.outputs / TRAININGS
    folder.mkdir()
    places = context.request.params.get("places")
    seconds = {}
    for number, place in enumerate(places if isinstance(places, list) else [], start=1):
        started = time.perf_counter()
        training = train_at(
            history,
            int(str(place)),
            context.inputs.get("code"),
            keeps_holdout=plan.keeps_holdout,
            takeover=plan.takeover,
        )
        write_training(folder, training)
        seconds[f"training_{place}_s"] = time.perf_counter() - started
        log.info("%d trained at %s, %.1f s", number, plan.grid.moments[int(str(place))], seconds[f"training_{place}_s"])
    return StageOutput({"trained": len(seconds)}, {TRAININGS: folder}, seconds)


def _walk(context: StageContext, plan: ReplayPlan, history: "History") -> StageOutput:
    from understudy.stages.replay.look import Lookout, decider_of
    from understudy.stages.replay.takeover import Gatekeeper
    from understudy.stages.replay.trainings import KeptTrainings
    from understudy.stages.replay.walk import walk

    code = context.inputs.get("code")
    trainings = KeptTrainings(context.inputs[TRAININGS], history, code)
    refused = trainings[0].facts.refused
    if refused is not None:
        raise Refused(f"The first training, at {moment(plan.grid.moments[0])}, is refused: {refused}")
    gatekeeper, lookout = Gatekeeper(history, trainings, plan, code), Lookout(history, trainings)
    asked = context.request.params.get("policies")
    names = asked if isinstance(asked, list) else []
    walks = [
        walk(policy.name, decider_of(policy, lookout), plan.grid, gatekeeper)
        for policy in plan.policies
        if policy.name in names
    ]
    return StageOutput({"walks": [way.model_dump(mode="json") for way in walks]})


def _report(context: StageContext, plan: ReplayPlan, history: "History") -> StageOutput:
    from understudy.contract.stage import digest_file
    from understudy.stages.replay.results import Hindsight, report_of
    from understudy.stages.replay.takeover import Gatekeeper
    from understudy.stages.replay.trainings import KeptTrainings
    from understudy.stages.replay.write import write_replay

    code = context.inputs.get("code")
    trainings = KeptTrainings(context.inputs[TRAININGS], history, code)
    hindsight = Hindsight.of(history, trainings, Gatekeeper(history, trainings, plan, code))
    given = context.request.params.get("walks")
    walks = [Walk.model_validate(way) for way in (given if isinstance(given, list) else [])]
    report = report_of(hindsight, plan, walks, digest_file(context.inputs[DATA]), code)
    return StageOutput(report, {"report": write_replay(context.outputs / "report", report)})
