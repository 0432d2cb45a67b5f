"""Blocks of rows: alike within, nearly independent between; the unit that a difference is averaged over."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import numpy as np
import pandas as pd

from understudy.contract.judges.challenger import MIN_BLOCKS
from understudy.stages.window import Array

ENOUGH_BLOCKS = 20
MAX_BLOCKS = 200
RANDOM_BLOCKS = 50
LENGTHS = tuple(timedelta(seconds=s) for s in (604_800, 86_400, 21_600, 3_600, 600, 60, 1))


@dataclass(frozen=True)
class Blocks:
    """Number the block of each row from 0 to ``count`` - 1; no block is empty."""

    ids: Array
    count: int
    length: timedelta | None = None
    times: pd.Series[Any] | None = None

    def take(self, rows: Array) -> Blocks:
        """Select rows and forget the blocks that lose all of theirs.

        Where that leaves too few and nobody declared a length, time is cut anew: a slice such as one season is a
        short piece of the holdout, and shorter blocks say more about it than none.
        """
        kept = _numbered(self.ids[rows], self.length)
        if kept.count >= MIN_BLOCKS or self.times is None:
            return kept
        return time_blocks(self.times.iloc[np.arange(len(self.ids))[rows]], None)

    @property
    def sizes(self) -> Array:
        """Count the rows of each block."""
        return np.bincount(self.ids, minlength=self.count)


def _numbered(raw: Array, length: timedelta | None) -> Blocks:
    kept, ids = np.unique(raw, return_inverse=True)
    return Blocks(ids, len(kept), length)


def time_blocks(times: pd.Series[Any], declared: timedelta | None) -> Blocks:
    """Cut time into pieces of equal length.

    Where none is declared, the longest of week, day, six hours, ... that gives at least 20 blocks is taken: rows of an
    ordered table depend on their neighbours, and blocks that are too short make every difference look certain
    (Elec2: the standard error over weeks is 2.1 to 3.5 times that over rows). Centuries of data get longer blocks.
    """
    stamps = times.to_numpy(dtype="datetime64[us]").astype(np.int64)
    if declared is not None:
        return _cut(stamps, declared)
    for length in LENGTHS:
        blocks = _cut(stamps, length)
        if blocks.count > MAX_BLOCKS:
            blocks = _cut(stamps, length * -(-blocks.count // MAX_BLOCKS))
        if blocks.count >= ENOUGH_BLOCKS:
            break
    return replace(blocks, times=times)


def _cut(stamps: Array, length: timedelta) -> Blocks:
    return _numbered(stamps // int(length / timedelta(microseconds=1)), length)


def random_blocks(rows: int, seed: int) -> Blocks:
    """Deal undated rows into 50 blocks of equal size, or into fewer where there are fewer rows."""
    count = min(RANDOM_BLOCKS, rows)
    return Blocks(np.random.default_rng(seed).permutation(np.arange(rows) % max(count, 1)), count)
