"""Lines over time and bars of reigns, laid out as SVG coordinates. Pure; a table beside each plot has the numbers."""

import math
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from understudy.contract.declared import Fact

WIDTH, HEIGHT = 640, 200
LEFT, RIGHT, TOP, BOTTOM = 52, 12, 12, 24
TICKS = 4
BARS_WIDTH = 1320
NARROWEST_LABEL = 34
HOURS_TELL = timedelta(days=3)
"""Within so short a time dates would be told twice; hours, in UTC, tell them apart."""


class Point(Fact):
    """Hold one measurement; ``low`` and ``high`` bound it where an interval is known."""

    at: datetime
    value: float
    low: float | None = None
    high: float | None = None


class Tick(Fact):
    """Place a label beside an axis."""

    place: float
    label: str


class Plot(Fact):
    """Hold the shapes of a line over time."""

    line: str
    band: str
    dots: tuple[tuple[float, float], ...]
    bounds: tuple[tuple[float, str], ...]
    changes: tuple[Tick, ...]
    rows: tuple[Tick, ...]
    columns: tuple[Tick, ...]
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT
    right: int = WIDTH - RIGHT
    bottom: int = HEIGHT - BOTTOM
    top: int = TOP


class Bar(Fact):
    """Place a stretch of time."""

    x: float
    width: float
    label: str
    """Empty where it would not fit."""
    told: str
    kind: str


class Span(Fact):
    """Hold a stretch of time before it is placed."""

    start: datetime
    end: datetime
    label: str
    told: str
    kind: str = ""


def plot(
    points: Sequence[Point],
    bounds: Iterable[tuple[float | None, str]] = (),
    changes: Iterable[tuple[datetime, str]] = (),
) -> Plot | None:
    """Lay out a line over time, in whichever order it was measured; None where there are fewer than two points.

    :param bounds: levels to draw across, each with its name.
    :param changes: moments to mark, each with a short label.
    """
    # A person may look as of a day that is past.
    drawn = sorted((point for point in points if math.isfinite(point.value)), key=lambda point: point.at)
    if len(drawn) < 2:
        return None
    levels = [(value, name) for value, name in bounds if value is not None and math.isfinite(value)]
    known = [value for point in drawn for value in (point.value, point.low, point.high) if value is not None]
    bottom, top = _padded([*known, *(value for value, _ in levels)])
    start, end = drawn[0].at, max(drawn[-1].at, drawn[0].at + timedelta(seconds=1))

    def x(at: datetime) -> float:
        return round(LEFT + (WIDTH - LEFT - RIGHT) * ((at - start) / (end - start)), 1)

    def y(value: float) -> float:
        return round(TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - bottom) / (top - bottom)), 1)

    spread = [(x(point.at), y(low), y(high)) for point in drawn for low, high in _bounds(point)]
    around = [(at, above) for at, _, above in spread] + [(at, below) for at, below, _ in reversed(spread)]
    ticks = [bottom + (top - bottom) * step / TICKS for step in range(TICKS + 1)]
    middle = start + (end - start) / 2
    written = "%m-%d %H:%M" if end - start < HOURS_TELL else "%Y-%m-%d"
    return Plot(
        line=_path((x(point.at), y(point.value)) for point in drawn),
        band=_path(around),
        dots=tuple((x(point.at), y(point.value)) for point in drawn),
        bounds=tuple((y(value), name) for value, name in levels),
        changes=tuple(Tick(place=x(at), label=label) for at, label in changes if start <= at <= end),
        rows=tuple(Tick(place=y(value), label=f"{value:.3g}") for value in ticks),
        columns=tuple(Tick(place=x(at), label=f"{at:{written}}") for at in (start, middle, end)),
    )


def bars(spans: Sequence[Span]) -> tuple[Bar, ...]:
    """Lay stretches of time beside each other, over the whole width."""
    if not spans:
        return ()
    start = min(span.start for span in spans)
    whole = max(max(span.end for span in spans) - start, timedelta(seconds=1))
    laid: list[Bar] = []
    for span in spans:
        x = round(BARS_WIDTH * ((span.start - start) / whole), 1)
        width = round(max(BARS_WIDTH * ((span.end - span.start) / whole), 2.0), 1)
        label = span.label if width >= NARROWEST_LABEL else ""
        laid.append(Bar(x=x, width=width, label=label, told=span.told, kind=span.kind))
    return tuple(laid)


def _bounds(point: Point) -> list[tuple[float, float]]:
    low, high = point.low, point.high
    if low is None or high is None or not (math.isfinite(low) and math.isfinite(high)):
        return []
    return [(low, high)]


def _path(points: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in points)


def _padded(values: Sequence[float]) -> tuple[float, float]:
    finite = [value for value in values if math.isfinite(value)]
    low, high = min(finite), max(finite)
    pad = (high - low) * 0.08 or abs(high) * 0.05 or 0.5
    return low - pad, high + pad
