"""Simulate hourly electricity prices. Nothing here was measured: it is a story with known turning points.

The day and the season drive demand and sun; wind comes and goes over days; the price follows what demand is left after
both, steeply where it is scarce. Forecasts look ``AHEAD_H`` hours ahead and err a little. ``up`` says whether the price
will then be higher than now. The label of an hour is therefore known ``AHEAD_H`` hours later.

On ``SHIFT`` the market changes: the border opens to a windy neighbour and the sun is paid less for, so that what was
learned before loses much of its worth. In the week from ``POISON_START`` a broken feed delivers the price in cents,
loses forecasts and writes nonsense where the border's state belongs.

The demo's live traffic knows a second turning point: from ``BACK`` on its market is the old one again.
"""

from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Numbers = NDArray[np.float64]

SEED = 20_240_201
AHEAD_H = 6
START = datetime(2022, 10, 1, tzinfo=timezone.utc)
END = datetime(2031, 1, 1, tzinfo=timezone.utc)  # long after today: a run sees nothing newer than its own as-of time
SHIFT = datetime(2024, 2, 1, tzinfo=timezone.utc)
POISON_START = datetime(2025, 4, 7, tzinfo=timezone.utc)
POISON_END = datetime(2025, 4, 14, tzinfo=timezone.utc)
BACK = datetime(2025, 6, 1, tzinfo=timezone.utc)
COLUMNS = (
    "timestamp",
    "price",
    "price_day_mean",
    "demand_forecast",
    "wind_forecast",
    "solar_forecast",
    "gas_price",
    "temperature",
    "hour",
    "weekday",
    "border",
    "up",
)
BORDERS = ("closed", "import", "export")


def simulate(back: datetime | None = None) -> dict[str, list[Any]]:
    """Return the columns of the sample, hour by hour; the same on every machine.

    :param back: from when on the market is again as it was before ``SHIFT``; never when absent.
    """
    import numpy as np

    rng = np.random.default_rng(SEED)
    hours = int((END - START).total_seconds() // 3600)
    clock = np.arange(hours + AHEAD_H)
    hour, weekday = (clock + START.hour) % 24, (clock // 24 + START.weekday()) % 7
    year = 2 * np.pi * ((clock + _hours_into_year(START)) / 8766)
    is_new = clock >= _hours_after_start(SHIFT)
    if back is not None:
        is_new &= clock < _hours_after_start(back)

    temperature = (
        11 - 10 * np.cos(year) + 3 * np.sin(2 * np.pi * (hour - 9) / 24) + _drifting(rng, 0.98, 0.5, len(clock))
    )
    cold, hot = np.maximum(14 - temperature, 0), np.maximum(temperature - 23, 0)
    demand = (
        48
        + 8 * np.exp(-(((hour - 19) / 3) ** 2))
        + 6 * np.exp(-(((hour - 9) / 3) ** 2))
        - 7 * (hour < 6)
        - 6 * (weekday >= 5)
        + 0.7 * cold
        + 0.9 * hot
        + _drifting(rng, 0.9, 0.6, len(clock))
    )
    wind = 14 * np.exp(0.6 * _unit(_drifting(rng, 0.985, 1.0, len(clock)))) * (1 - 0.2 * np.cos(year + np.pi))
    sun = np.maximum(np.sin(np.pi * (hour - 6) / 12), 0) * (hour >= 6) * (hour <= 18)
    solar = (
        16 * sun * (1 - 0.45 * np.cos(year)) * np.clip(1 + 0.3 * _unit(_drifting(rng, 0.95, 1.0, len(clock))), 0.1, 1.6)
    )
    gas = 30 + 6 * _unit(_drifting(rng, 0.9995, 1.0, len(clock)))
    border = rng.choice(3, size=len(clock) // 24 + 1, p=[0.4, 0.3, 0.3]).repeat(24)[: len(clock)]

    price = _price(demand=demand, wind=wind, solar=solar, gas=gas, border=border, is_new=is_new) + _drifting(
        rng, 0.7, 4.0, len(clock)
    )
    now, then = slice(0, hours), slice(AHEAD_H, hours + AHEAD_H)
    return {
        "timestamp": (np.datetime64(START.replace(tzinfo=None), "s") + clock[now] * np.timedelta64(3600, "s")).tolist(),
        "price": price[now].round(2).tolist(),
        "price_day_mean": _trailing_mean(price, 24)[now].round(2).tolist(),
        "demand_forecast": (demand[then] + rng.normal(0, 0.9, hours)).round(2).tolist(),
        "wind_forecast": np.maximum(wind[then] * rng.normal(1, 0.08, hours), 0).round(2).tolist(),
        "solar_forecast": np.maximum(solar[then] * rng.normal(1, 0.08, hours), 0).round(2).tolist(),
        "gas_price": gas[now].round(2).tolist(),
        "temperature": temperature[now].round(1).tolist(),
        "hour": hour[now].tolist(),
        "weekday": weekday[now].tolist(),
        "border": [BORDERS[state] for state in border[then]],
        "up": (price[then] > price[now]).astype(int).tolist(),
    }


def poison(columns: dict[str, list[Any]]) -> None:
    """Break the week from POISON_START in place, as a feed would."""
    import numpy as np

    rng = np.random.default_rng(SEED + 1)
    for row in range(_hours_after_start(POISON_START), _hours_after_start(POISON_END)):
        columns["price"][row] = round(columns["price"][row] * 100, 2)
        if rng.random() < 0.6:
            columns["wind_forecast"][row] = None
        if rng.random() < 0.5:
            columns["border"][row] = str(rng.choice(["???", "0x00", "IMPROT"]))


def _price(
    *, demand: "Numbers", wind: "Numbers", solar: "Numbers", gas: "Numbers", border: Any, is_new: Any
) -> "Numbers":
    """Follow the demand that is left, steeply where it is scarce; border and sun count differently since SHIFT."""
    import numpy as np

    import_gw = np.where(is_new, np.choose(border, [0.0, -9.0, 7.0]), np.choose(border, [0.0, 4.0, -4.0]))
    left = demand - np.where(is_new, 1.35, 0.55) * wind - np.where(is_new, 0.35, 1.3) * solar + import_gw
    return np.asarray(12 + 0.9 * gas + 22 * np.log1p(np.exp((left - 34) / 7)) - 5, dtype=float)


def _drifting(rng: "np.random.Generator", memory: float, step: float, size: int) -> "Numbers":
    """Give a first-order autoregressive series."""
    import numpy as np

    steps = rng.normal(0, step, size)
    series = np.empty(size)
    value = 0.0
    for index, change in enumerate(steps.tolist()):
        value = memory * value + change
        series[index] = value
    return series


def _unit(series: "Numbers") -> "Numbers":
    import numpy as np

    return np.asarray((series - series.mean()) / series.std(), dtype=float)


def _trailing_mean(series: "Numbers", size: int) -> "Numbers":
    import numpy as np

    sums = np.concatenate([[0.0], np.cumsum(series)])
    index = np.arange(1, len(series) + 1)
    start = np.maximum(index - size, 0)
    return np.asarray((sums[index] - sums[start]) / (index - start))


def _hours_after_start(moment: datetime) -> int:
    return int((moment - START).total_seconds() // 3600)


def _hours_into_year(moment: datetime) -> float:
    return (moment - datetime(moment.year, 1, 1, tzinfo=timezone.utc)).total_seconds() / 3600
