"""The metrics of a gateway. Versions are named only while they are warm: no series outlives what it is about."""

from understudy.exposition import Metric, MetricKind

COUNTER, GAUGE, HISTOGRAM = MetricKind.COUNTER, MetricKind.GAUGE, MetricKind.HISTOGRAM
MODEL = ("model",)
WORKER = ("model", "role", "version")


def _of(name: str, kind: MetricKind, said: str, labels: tuple[str, ...] = ()) -> Metric:
    return Metric(f"understudy_gateway_{name}", kind, said, labels)


INFO = _of("info", GAUGE, "1; names the gateway and its release.", ("gateway", "release"))
HEALTHY = _of("healthy", GAUGE, "1 where /health says ok, 0 where anything is not as it should be.")
TRUTH_AGE = _of("truth_age_seconds", GAUGE, "Since the follower last reported that it reads the ledger.")
TRUTH_READ = _of("truth_read", GAUGE, "1 where the follower's last report named no problem.")
TURNED_AWAY = _of("turned_away_total", COUNTER, "Requests that reached no model.", ("code",))
LABELS_NOT_TAKEN = _of("label_batches_not_taken_total", COUNTER, "Batches that a replica did not take.", ("peer",))

SERVING = _of("serving", GAUGE, "1 where somebody answers for the model.", MODEL)
EPOCH = _of("epoch", GAUGE, "The deployment record that is served.", MODEL)
BROKEN_GLASS = _of("broken_glass", GAUGE, "1 where a break-glass is not in the ledger yet.", MODEL)
MIRROR_SHARE = _of("mirror_share_ratio", GAUGE, "The share of requests that a mirror answers unseen.", MODEL)
CANARY_SHARE = _of("canary_share_ratio", GAUGE, "The share of the callers that a canary answers.", MODEL)
REQUESTS = _of("requests_total", COUNTER, "Callers' requests by their HTTP status.", (*MODEL, "code"))
ANSWERS = _of("answers_total", COUNTER, "Answers of each version, unseen ones too, by status.", (*WORKER, "code"))
LOST = _of("answers_lost_total", COUNTER, "Requests that a mirror, canary or baseline did not answer.",
           (*WORKER, "reason"))  # fmt: skip
DURATION = _of("answer_duration_seconds", HISTOGRAM, "From a request's arrival to its answer.", (*MODEL, "role"))
QUEUED = _of("queued_requests", GAUGE, "Requests that wait for whoever answers.", MODEL)
QUEUE_LIMIT = _of("queue_limit_requests", GAUGE, "How many may wait; one more is answered with 429.", MODEL)

WORKER_READY = _of("worker_ready", GAUGE, "1 where the version's scoring process can answer.", WORKER)
WORKER_ISOLATION = _of("worker_isolation_info", GAUGE, "1; container or process.", (*WORKER, "isolation"))
WORKER_RESTARTS = _of("worker_restarts_total", COUNTER, "How often the scoring process had to be replaced.", WORKER)
WORKER_MEMORY = _of("worker_memory_bytes", GAUGE, "The resident memory of the scoring process.", WORKER)
WORKER_QUEUED = _of("worker_queued_requests", GAUGE, "What is scored, and what waits for this process alone.", WORKER)

LOG_FAILING = _of("log_failing", GAUGE, "1 where the prediction log cannot be written.", MODEL)
LOG_LAG = _of("log_lag_seconds", GAUGE, "How long the oldest prediction has waited to be written.", MODEL)
LOG_QUEUED = _of("log_queued_rows", GAUGE, "Predictions that wait to be written.", MODEL)
LOG_WRITTEN = _of("log_written_rows_total", COUNTER, "Predictions that were written.", MODEL)
LOG_LOST = _of("log_lost_rows_total", COUNTER, "Predictions that are nowhere.", MODEL)
LABELS_TAKEN = _of("labels_taken_total", COUNTER, "Labels that were taken, from callers and replicas.", MODEL)
LABELS = _of("labels", GAUGE, "Labels in the log by what became of them, as counted every few minutes.",
             (*MODEL, "fate"))  # fmt: skip

MEASURES = tuple(value for value in list(globals().values()) if isinstance(value, Metric))
