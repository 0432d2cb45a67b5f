"""Choose a retraining policy from what a replay measured. Pure, so that it can be asked again with other terms."""

from collections.abc import Sequence
from datetime import timedelta

import yaml

from understudy.contract.declaration.cron import nearest_cron
from understudy.contract.declaration.spec import ModelSpec
from understudy.contract.declared import format_duration
from understudy.contract.metrics import METRICS
from understudy.contract.replay.policies import Policy, parse_policy
from understudy.contract.replay.report import PolicyResult, Recommendation
from understudy.contract.words import PolicyKind


def recommend(
    spec: ModelSpec, results: Sequence[PolicyResult], step: timedelta, tolerance: float
) -> Recommendation | None:
    """Recommend the policy with the fewest trainings among those that lose at most ``tolerance`` of the gain.

    The gain is that of the best policy over the one that never retrains. Equal trainings are told apart by quality.
    None where no policy's quality could be measured.
    """
    sign = 1.0 if METRICS[spec.primary].greater_is_better else -1.0
    measured = [(r, sign * r.quality) for r in results if r.quality is not None]
    if not measured:
        return None
    best = max(quality for _, quality in measured)
    never = next((q for r, q in measured if r.trainings == 0), best)
    bound = best - tolerance * (best - never)
    enough = [(r, q) for r, q in measured if q >= bound]
    chosen, _ = min(enough, key=lambda found: (found[0].trainings, -found[1], found[0].policy))
    return Recommendation(
        policy=chosen.policy,
        yaml=_block(spec, parse_policy(chosen.policy), step),
        sentence=_sentence(spec, chosen, results, tolerance, sign),
    )


def _sentence(
    spec: ModelSpec, chosen: PolicyResult, results: Sequence[PolicyResult], tolerance: float, sign: float
) -> str:
    every = next((r for r in results if r.policy == PolicyKind.EVERY.value), None)
    if chosen.trainings == 0:
        return (
            f"no policy is better than {chosen.policy}, which never trains ({spec.primary} {chosen.quality:.4g}), by "
            "anything that is worth a training: do not retrain without need"
        )
    cheaper = f" instead of {every.trainings}" if every and every.trainings > chosen.trainings else ""
    said = (
        f"{chosen.policy} reaches {spec.primary} {chosen.quality:.4g} with {chosen.trainings} trainings{cheaper}, the "
        f"fewest of all policies that lose at most {tolerance:.0%} of the gain"
    )
    if chosen.same_budget is None or chosen.quality is None:
        return said
    ahead = sign * (chosen.quality - chosen.same_budget)
    word = "better" if ahead > 0 else "worse"
    compared = f"{abs(ahead):.4g} {word} than" if ahead else "as good as"
    return f"{said}; that is {compared} as many trainings at even distances ({chosen.same_budget:.4g})"


def _block(spec: ModelSpec, policy: Policy, step: timedelta) -> str:
    """Write what has to stand in model.yaml for a policy, declared knobs that it needs included."""
    if not policy.watches:
        every = step if policy.kind is PolicyKind.EVERY else policy.max_age
        retrain: dict[str, object] = {"drift": False, "quality": False}
        if every is None:
            return yaml.safe_dump({"retrain": retrain}, sort_keys=False)
        cron, words, is_exact = nearest_cron(every)
        block = yaml.safe_dump({"retrain": {"schedule": cron, **retrain}}, sort_keys=False)
        return block if is_exact else f"# Cron cannot say every {format_duration(every)}; this is {words}.\n{block}"
    knobs = policy.knobs(spec.retrain)
    retrain = {"drift": knobs.drift, "quality": knobs.quality, "cooldown": format_duration(knobs.cooldown)}
    if knobs.max_age is not None:
        retrain["max_age"] = format_duration(knobs.max_age)
    for name in ("new_labels", "min_new_labels"):
        if getattr(knobs, name):
            retrain[name] = getattr(knobs, name)
    monitor = spec.monitor.model_dump(mode="json", exclude_unset=True) if spec.monitor else {}
    monitor.setdefault("schedule", nearest_cron(step)[0])
    return yaml.safe_dump({"retrain": retrain, "monitor": monitor}, sort_keys=False)
