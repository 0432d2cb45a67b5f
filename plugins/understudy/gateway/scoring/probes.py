"""Rows on which two ways to answer are compared before the shorter one is taken."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from understudy.gateway.scoring.rows import Rows

PROBES = 64
MISSING = 0.2  # the share of cells that are left out in some of the probes


def known_categories(model: Any) -> list[list[Any]]:
    """Give the categories that a pipeline of stages/model/pipeline.py learned, for each column of texts."""
    return [list(column) for column in getattr(model[0].named_transformers_["texts"], "categories_", [])]


def make_probes(example: Rows, categories: Sequence[Sequence[Any]]) -> list[Rows]:
    """Make rows like the example, and unlike it: shuffled, stretched, partly and wholly missing, unheard of."""
    random = np.random.default_rng(0)
    known = example.numbers
    picked = random.integers(len(known), size=(PROBES, known.shape[1]))
    mixed = np.take_along_axis(known, picked, axis=0)
    stretched = mixed * random.lognormal(sigma=1.0, size=mixed.shape) + random.normal(size=mixed.shape)
    holes = np.where(random.random(mixed.shape) < MISSING, np.nan, stretched)
    texts = tuple(_cells(random, column) for column in categories)
    alone = tuple(column[:1] for column in texts)
    return [
        example,
        Rows(mixed, texts),
        Rows(stretched, texts),
        Rows(holes, texts),
        Rows(stretched[:1], alone),
        Rows(np.full((1, known.shape[1]), np.nan), tuple([np.nan] for _ in texts)),
    ]


def _cells(random: np.random.Generator, known: Sequence[Any]) -> list[Any]:
    """Pick out of every known category, an unknown one, and none."""
    choices = [*known, "a category of nobody's", np.nan]
    return [choices[place] for place in random.permutation(np.arange(PROBES) % len(choices))]
