"""Read what a scraper would: every sample by its name and labels."""

import shutil
import subprocess
from collections.abc import Iterable

from prometheus_client.parser import text_string_to_metric_families

from understudy.exposition import Metric

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


def samples_of(text: str) -> Samples:
    """Read an exposition; a sample that is there twice is an error, as it is to Prometheus."""
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            key = sample.name, frozenset(sample.labels.items())
            assert key not in found, key
            found[key] = sample.value
    return found


def value(samples: Samples, metric: Metric, *labels: str, suffix: str = "", **more: str) -> float:
    """Give the one sample with these labels, in the order of their declaration."""
    named = dict(zip(metric.labels, labels, strict=True))
    return samples[f"{metric.name}{suffix}", frozenset({**named, **more}.items())]


def names(samples: Samples) -> set[str]:
    """Give the names that a query can ask for."""
    return {name for name, _ in samples}


def promtool_complaints(text: str) -> list[str]:
    """Let promtool judge names and types, where it is installed."""
    promtool = shutil.which("promtool")
    if promtool is None:
        return []
    judged = subprocess.run([promtool, "check", "metrics"], input=text, capture_output=True, text=True, check=False)
    return judged.stderr.splitlines()


def undeclared(samples: Samples, metrics: Iterable[Metric]) -> set[str]:
    """Name what is shown and not declared, or declared and not shown."""
    return names(samples) ^ {series for metric in metrics for series in metric.series}
