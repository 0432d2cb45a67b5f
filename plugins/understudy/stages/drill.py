"""Two tiny models for the rollback drill, a good one and one that is bad on purpose, and rows to tell them apart by."""

import json
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from understudy.stages.context import Refused, StageContext, StageOutput, stage

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

    from understudy.stages.model.scorer import Scorer
    from understudy.stages.window import Array

COLUMNS = ("wind", "sun", "demand")
TRAINED_ON = 2_000
SENT = 1_000
SAMPLE_ROWS = 100


@stage
def run(context: StageContext) -> StageOutput:
    """Write ``good``, ``bad`` and ``traffic``, the labelled rows; another run gets other numbers.

    ``params`` are ``turned``: the share of the bad model's labels that are turned round, 1 by default.
    """
    import numpy as np

    turned = _share(context)
    # A model that was rolled back is denied for ever, so the next drill needs others.
    seed = int.from_bytes(sha256(context.request.run.encode()).digest()[:8], "big")
    random = np.random.default_rng(seed)
    created = context.request.as_of
    good, bad = context.outputs / "good", context.outputs / "bad"
    errors = {}
    sent, truth = _rows(random, SENT)
    for folder, share in ((good, 0.0), (bad, turned)):
        rows, labels = _rows(random, TRAINED_ON)
        taught = np.where(random.random(TRAINED_ON) < share, 1 - labels, labels)
        scorer = _write(folder, context.request.model, rows, taught, created)
        errors[folder.name] = float((scorer.predict(sent) != truth).mean())
    traffic = context.outputs / "traffic.json"
    told = {"columns": list(COLUMNS), "rows": sent.to_numpy().tolist(), "labels": truth.tolist()}
    traffic.write_text(json.dumps(told), encoding="utf-8")
    return StageOutput(
        {"turned": turned, "error_good": errors["good"], "error_bad": errors["bad"], "rows": SENT},
        {"good": good, "bad": bad, "traffic": traffic},
    )


def _share(context: StageContext) -> float:
    given = context.request.params.get("turned", 1.0)
    try:
        share = float(str(given))
    except ValueError:
        share = -1.0
    if not 0 <= share <= 1:
        raise Refused(f"params.turned is {given!r}; it must be a share from 0 to 1", "params.turned")
    return share


def _rows(random: "np.random.Generator", count: int) -> "tuple[pd.DataFrame, Array]":
    import pandas as pd

    rows = pd.DataFrame(random.normal(size=(count, len(COLUMNS))).round(6), columns=list(COLUMNS))
    noise = random.normal(size=count)
    return rows, (rows["wind"] + rows["sun"] - rows["demand"] + 0.3 * noise > 0).astype(int).to_numpy()


def _write(folder: Path, model: str, rows: "pd.DataFrame", labels: "Array", created: datetime) -> "Scorer":
    from understudy.contract.declaration.estimators import estimators_for
    from understudy.contract.words import MlTask
    from understudy.stages.model.features import Features
    from understudy.stages.model.model_files import save_model
    from understudy.stages.model.pipeline import build_pipeline
    from understudy.stages.model.scorer import ModelFacts, Scorer

    name = "logistic_regression"
    features = Features(names=COLUMNS)
    fitted = build_pipeline(estimators_for(MlTask.BINARY)[name], features, {}, 0).fit(rows, labels)
    facts = ModelFacts(
        model=model,
        estimator=name,
        task=MlTask.BINARY,
        target="up",
        features=features,
        inputs=COLUMNS,
        classes=(0, 1),
        is_linear=True,
    )
    scorer = Scorer(facts, fitted)
    save_model(folder, scorer, rows.head(SAMPLE_ROWS), None, created)
    return scorer
