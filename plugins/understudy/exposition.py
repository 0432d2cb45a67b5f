"""Numbers for Prometheus: each metric is declared once, and what is shown is checked against its declaration."""

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

from understudy.contract.words import Word

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric as Family

INFINITE = "+Inf"


class MetricKind(Word):
    """Say how a number behaves."""

    COUNTER = "counter"  # only grows, and starts anew with its process
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Metric(NamedTuple):
    """Declare a metric; its name ends with its unit, and a counter's with ``_total``."""

    name: str
    kind: MetricKind
    help: str
    labels: tuple[str, ...] = ()

    @property
    def series(self) -> tuple[str, ...]:
        """Name the series that can be asked for."""
        if self.kind is MetricKind.HISTOGRAM:
            return tuple(f"{self.name}_{part}" for part in ("bucket", "count", "sum"))
        return (self.name,)


class Durations:
    """Count durations by upper edges, in seconds."""

    __slots__ = ("counts", "edges_s", "sum_s")

    def __init__(self, edges_s: Sequence[float]) -> None:
        self.edges_s = edges_s
        self.counts = [0] * (len(edges_s) + 1)
        """One more than there are edges: the last counts everything slower."""
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one."""
        self.counts[bisect_left(self.edges_s, seconds)] += 1
        self.sum_s += seconds


class Exposition:
    """Collect the samples of declared metrics, and write them in the form that a scraper asks for."""

    def __init__(self, metrics: Iterable[Metric]) -> None:
        self._families = {metric: _family(metric) for metric in metrics}

    def put(self, metric: Metric, value: float, *labels: str | int) -> None:
        """Add a sample; its labels are in the order of their declaration."""
        told = _labelled(metric, labels)
        name = metric.name.removesuffix("_total")
        self._families[metric].add_sample(f"{name}_total" if name != metric.name else name, told, float(value))

    def put_durations(self, metric: Metric, durations: Durations, *labels: str | int) -> None:
        """Add a histogram."""
        told, family, below = _labelled(metric, labels), self._families[metric], 0
        for edge, count in zip((*map(str, durations.edges_s), INFINITE), durations.counts, strict=True):
            below += count
            family.add_sample(f"{metric.name}_bucket", {**told, "le": edge}, below)
        family.add_sample(f"{metric.name}_count", told, below)
        family.add_sample(f"{metric.name}_sum", told, durations.sum_s)

    def collect(self) -> "Iterable[Family]":
        """Give the families that have samples."""
        return [family for family in self._families.values() if family.samples]

    def text(self, accept: str = "") -> tuple[bytes, str]:
        """Write all samples as the header ``Accept`` asks; return them with their media type."""
        from prometheus_client.exposition import choose_encoder

        encode, media_type = choose_encoder(accept)
        return encode(self), media_type


def _family(metric: Metric) -> "Family":
    from prometheus_client.metrics_core import Metric as Family

    return Family(metric.name.removesuffix("_total"), metric.help, metric.kind.value)


def _labelled(metric: Metric, labels: tuple[str | int, ...]) -> dict[str, str]:
    return {name: str(value) for name, value in zip(metric.labels, labels, strict=True)}
