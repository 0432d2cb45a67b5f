"""The metrics of the ledger, the declarations and Airflow's DAGs."""

from understudy.exposition import Metric, MetricKind

COUNTER, GAUGE = MetricKind.COUNTER, MetricKind.GAUGE
MODEL = ("model",)


def _of(name: str, kind: MetricKind, said: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"understudy_{name}", kind, said, labels)


INFO = _of("exporter_info", GAUGE, "1; names the release.", ("release",))
READ_DURATION = _of("ledger_read_duration_seconds", GAUGE, "How long the ledger was read for this scrape.")
LEDGER_READABLE = _of("ledger_readable", GAUGE, "1 where the ledger answers and its newest entries are intact.")
LEDGER_ENTRIES = _of("ledger_entries", GAUGE, "How many entries the ledger has.")
CHAIN_INTACT = _of("ledger_chain_intact", GAUGE, "1 where every entry and link was intact when last verified.")
CHAIN_VERIFIED = _of("ledger_verified_timestamp_seconds", GAUGE, "When the whole chain was last verified.")

CHAMPION_SINCE = _of("champion_since_timestamp_seconds", GAUGE, "Since when the champion serves.", MODEL)
CHAMPION = _of("champion_info", GAUGE, "1; the version that serves.", (*MODEL, "version"))
EPOCH = _of("deployment_epoch", GAUGE, "The newest deployment record.", MODEL)
MIRRORED = _of("champion_mirrored", GAUGE, "1 while a version answers the same requests unseen.", MODEL)
CANARY = _of("champion_canary", GAUGE, "1 while a challenger answers a share of the callers.", MODEL)
LOCKED = _of("champion_locked", GAUGE, "1 where the champion is locked.", MODEL)
STALE = _of("champion_stale", GAUGE, "1 where the last look found the champion too old.", MODEL)
HELD = _of("promotions_held", GAUGE, "1 where promotions of the model are held.", MODEL)
APPROVAL_SINCE = _of("approval_waiting_since_timestamp_seconds", GAUGE, "When a person was asked who has not answered.",
                     MODEL)  # fmt: skip

RETRAININGS = _of("retrainings_total", COUNTER, "Retrainings that ended, by outcome.", (*MODEL, "outcome"))
RETRAINING_END = _of("retraining_end_timestamp_seconds", GAUGE, "When a retraining last ended.", MODEL)
RETRAINING_SUCCESS = _of("retraining_success_timestamp_seconds", GAUGE,
                         "When a challenger was last trained and judged.", MODEL)  # fmt: skip
RETRAINING_FAILED = _of("retraining_failed", GAUGE, "1 where the last retraining broke or its data were refused.",
                        MODEL)  # fmt: skip
RETRAINING_RUNNING = _of("retraining_running_since_timestamp_seconds", GAUGE, "When the one that runs began.", MODEL)
RETRAINING_DUE = _of("retraining_due_since_timestamp_seconds", GAUGE,
                     "When a look asked for the retraining that has not begun yet.", MODEL)  # fmt: skip
ROLLBACKS = _of("rollbacks_total", COUNTER, "Champions that were taken back.", MODEL)
VERDICTS = _of("verdicts_total", COUNTER, "Verdicts by what was judged.", (*MODEL, "judged", "verdict"))

LOOK_AT = _of("look_timestamp_seconds", GAUGE, "When the model was last looked at.", MODEL)
LOOK_VERDICT = _of("look_verdict", GAUGE, "1 for the verdict of the last look.", (*MODEL, "verdict"))
LOOK_BLIND = _of("look_blind", GAUGE, "1 where the last look could compare nothing.", MODEL)
LOOK_INTERVAL = _of("look_interval_seconds", GAUGE, "The longest time between two looks by their schedule.", MODEL)

DECLARED = _of("model_declared_info", GAUGE, "1; the owner by the declaration.", (*MODEL, "owner"))
SPEC_BROKEN = _of("model_spec_broken", GAUGE, "1 where model.yaml cannot be used.", MODEL)
MAX_AGE = _of("model_max_age_seconds", GAUGE, "How old a champion may become by its declaration.", MODEL)
TIMEOUT = _of("model_retraining_timeout_seconds", GAUGE, "How long a retraining may take, its waits included.", MODEL)
SWEPT_AT = _of("alerts_swept_timestamp_seconds", GAUGE, "When a sweep for alerts last ended.")
ALERTS_WAITING = _of("alerts_waiting", GAUGE, "Alerts that are due and were not delivered.")
ALERTS_OLDEST = _of("alerts_oldest_waiting_timestamp_seconds", GAUGE, "When the oldest of them happened.")
DRILL_AT = _of("drill_timestamp_seconds", GAUGE, "When the rollback drill last ran.")
DRILL_PASSED = _of("drill_passed", GAUGE, "1 where it passed.")

MEASURES = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
