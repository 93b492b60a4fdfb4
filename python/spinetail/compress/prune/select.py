"""Which weights stay: the selection by score, over one array or many, single weights, blocks, or N of M."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ...ops import pruning

__all__ = ["block_mask", "blocks", "count_of", "keep_of", "smallest"]


def count_of(sparsity: float, total: int) -> int:
    """How many of `total` go: sparsity · total, to the nearest whole number, half to even."""
    return round(sparsity * total)


def smallest(scores: Sequence[np.ndarray], count: int) -> list[np.ndarray]:
    """Masks, one for each array: False for exactly the `count` lowest scores of all arrays, True for the others.

    Of equal scores the earlier goes first: the earlier array, then the lower index.
    """
    return pruning.magnitude_masks(scores, count)


def blocks(scores: np.ndarray, block: tuple[int, int]) -> np.ndarray:
    """The mean score of each block of a weight seen as (outputs, the rest); blocks at the edges may be smaller."""
    flat = scores.reshape(len(scores), -1)
    rows = np.arange(0, flat.shape[0], block[0])
    columns = np.arange(0, flat.shape[1], block[1])
    sums = np.add.reduceat(np.add.reduceat(flat, rows, axis=0, dtype=np.float64), columns, axis=1)
    heights = np.diff(np.append(rows, flat.shape[0]))
    widths = np.diff(np.append(columns, flat.shape[1]))
    means: np.ndarray = sums / (heights[:, None] * widths[None, :])
    return means


def block_mask(chosen: np.ndarray, shape: tuple[int, ...], block: tuple[int, int]) -> np.ndarray:
    """A mask of blocks as a mask of the weight."""
    rows, columns = shape[0], int(np.prod(shape[1:]))
    full = np.repeat(np.repeat(chosen, block[0], axis=0)[:rows], block[1], axis=1)[:, :columns]
    return np.ascontiguousarray(full).reshape(shape)


def keep_of(scores: np.ndarray, keep: int, of: int) -> np.ndarray:
    """A mask that keeps the `keep` highest of every `of` scores along the input dimension (axis 1), earlier ones first.

    A last group that is smaller keeps the highest `keep` of what it has.
    """
    moved = np.moveaxis(scores, 1, -1)
    inputs = moved.shape[-1]
    groups = -(-inputs // of)
    padded = np.full((*moved.shape[:-1], groups * of), -1.0)
    padded[..., :inputs] = moved
    grouped = padded.reshape(*moved.shape[:-1], groups, of)
    order = np.argsort(-grouped, axis=-1, kind="stable")
    chosen = np.zeros(grouped.shape, bool)
    np.put_along_axis(chosen, order[..., :keep], True, axis=-1)
    mask = chosen.reshape(*moved.shape[:-1], groups * of)[..., :inputs]
    return np.ascontiguousarray(np.moveaxis(mask, -1, 1))
