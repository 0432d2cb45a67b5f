"""What the pages of the DAGs about all models say, in plain words."""

from datetime import timedelta

from understudy.contract.declared import format_duration
from understudy.contract.words import Action


def rollback_page() -> str:
    """Explain the rollback form."""
    return """
### Take a model back

Trigger it with the model, a reason, and `previous` (or the number of a version that has served before).

The whole bundle goes back: version, image, code, threshold and drift reference. The version that you take back is
denied from being promoted again. *Dry run* only says what would happen. The ledger keeps who did it and why.
"""


ACTIONS_IN_WORDS = {
    Action.HOLD: "Keep a model's challengers from its callers until somebody releases it.",
    Action.RELEASE: "Let a held model's challengers be promoted again.",
    Action.LOCK: "Keep a version from being replaced while it serves.",
    Action.UNLOCK: "Let a locked version be replaced again.",
    Action.STOP_SHADOW: "End the rehearsal, the canary or the probation's comparison beside a champion.",
}
_WHAT_IT_MEANS = {
    Action.HOLD: "The model is retrained, judged and rehearsed as before, and the outcome of such a run is `HELD`. "
    "A rollback stays possible. A release does not promote what passed meanwhile: wait for the next retraining, or "
    "clear *promote* in the held run, which promotes if the champion is still the one that the challenger was judged "
    "against.",
    Action.RELEASE: "Anybody who may trigger this DAG can release it, whoever holds it; the ledger keeps who did.",
    Action.LOCK: "Neither a promotion nor a rollback replaces it while it serves. `champion` is whatever serves when "
    "the run begins; write a number to be sure which version you mean.",
    Action.UNLOCK: "What is unlocked is the champion, or the version that you name.",
    Action.STOP_SHADOW: "The version that answers requests unseen, or a share of the callers, stops answering; "
    "the champion stays. The run that waited for it goes on at once: a challenger that had not shown enough is "
    "declined, and a new champion's probation ends.",
}


def action_page(action: Action) -> str:
    """Explain the form of an action."""
    return f"""
### {ACTIONS_IN_WORDS[action]}

{_WHAT_IT_MEANS[action]}

Trigger it with the model and a reason. *Dry run* only says what would happen. The ledger keeps who did it and why.
"""


def drill_page(detect_within: timedelta, reverse_within: timedelta) -> str:
    """Explain the rollback drill."""
    return f"""
### Drill a rollback

Does what must work at three in the morning, on the real gateways, in a slot of its own that no client asks and no
model.yaml may use.

1. **models** trains a good model and, from turned labels, a bad one.
2. **drill** promotes the good one and then the bad one, sends requests and their labels to all gateways, waits until
   the guard's judgement finds the bad one out ({format_duration(detect_within)} at most), rolls back, and waits until
   all gateways answer with the good one ({format_duration(reverse_within)} at most).
3. **clear** makes the gateways forget both, however the drill ended.

**When it is red**: *drill* says in one sentence whether the bad model was not found out or not taken back in time.
Either means that a rollback of a real model would not work as promised now. The times are kept in the ledger
(`drilled`) and in MLflow (`drill_detection_s`, `drill_reversal_s`). To drill again, trigger it anew: models that were
rolled back are denied for ever. Grey tasks mean that there is no gateway.
"""


def housekeeping_page() -> str:
    """Explain what housekeeping may delete."""
    return """
### Tidy up

Every hour: containers and processes whose task is over are removed, mirrors and canaries whose run is over or late
are ended, what a killed rollback drill left at the gateways is cleared, and run folders older than `keep_runs` are
deleted. Models, reports, data versions, quarantined windows and the ledger are never touched.
"""


def alerts_page() -> str:
    """Explain what the sweep tells."""
    return """
### Tell what happened

Tasks tell of their decisions at once. Every five minutes this sweep tells the rest: decisions whose task died,
messages that a receiver did not take, retrainings, looks, rollbacks, drills and requests that Airflow has failed,
approvals that wait, missed schedules, silent gateways, champions that are too old, declarations that cannot be used.
Where a guard or a look had found that a champion has to go, and was killed before it could take it back, the sweep
takes it back. Without the ledger it fails, and tells that itself. `understudy alerts list` shows what was told to
whom and what waits.
"""


def replay_page() -> str:
    """Explain the replay form."""
    return """
### Try retraining policies on the past

Walks through a model's own history: each step's rows are answered by the model in force, their labels come when
`data.label_delay` has passed, and only then may a policy use them. Trainings, gates and looks are the real ones.

1. **rows** reads the history and cuts it into steps.
2. **train** trains once at each step, for all policies together; what an earlier replay of the same rows trained is
   taken up, so a failed run loses little when it is cleared.
3. **walk** takes each policy through the history.
4. **report** compares them and recommends one as a block for model.yaml: in the ledger (`replayed`), and with page and
   picture in MLflow.

Nothing is registered, promoted or changed.
"""
