"""Dividing units of several images (patients, duplicates) into parts so that every cell type gets its share."""

from __future__ import annotations

import numpy as np

_MAX_SWAP_UNITS = 400
"""With more units, moving single ones balances well enough, and trying all pairs would take minutes."""


def balance(amounts: np.ndarray, aims: np.ndarray) -> np.ndarray:
    """Part of each unit.

    amounts: (U, T) images of each type in each unit; aims: (P, T) images of each type that each part should get.
    Minimises Σ (got − aim)² / (aim · total of the type), the χ² distance with all types weighing alike: first greedily
    in the order of the units, then by moving or swapping units while that helps. Returns (U,) int64.
    """
    amounts = amounts.astype(np.float64)
    weights = 1 / (np.maximum(aims, 0.5) * np.maximum(amounts.sum(0), 1))
    gap = -aims.astype(np.float64)  # got − aim, (P, T)
    parts = np.zeros(len(amounts), np.int64)
    for unit, amount in enumerate(amounts):
        parts[unit] = np.argmin(_growth(gap, amount, weights))
        gap[parts[unit]] += amount
    swappable = len(amounts) <= _MAX_SWAP_UNITS
    while _move(amounts, weights, gap, parts) or (swappable and _swap(amounts, weights, gap, parts)):
        pass
    return parts


def _growth(gap: np.ndarray, amount: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(P,) growth of the distance if `amount` (T,) is added to each part."""
    return ((2 * gap * amount + amount**2) * weights).sum(1)


def _move(amounts: np.ndarray, weights: np.ndarray, gap: np.ndarray, parts: np.ndarray) -> bool:
    """Make every single move that helps, once through the units; whether one was made."""
    moved = False
    for unit, amount in enumerate(amounts):
        here = parts[unit]
        gap[here] -= amount
        growth = _growth(gap, amount, weights)
        best = int(np.argmin(growth))
        if growth[best] < growth[here] - 1e-9:
            parts[unit] = best
            moved = True
        gap[parts[unit]] += amount
    return moved


def _swap(amounts: np.ndarray, weights: np.ndarray, gap: np.ndarray, parts: np.ndarray) -> bool:
    """Make the best swap of each unit with a unit of another part, if it helps; whether one was made."""
    swapped = False
    for unit in range(len(amounts)):
        here = parts[unit]
        change = amounts - amounts[unit]  # what `here` gains, the other part loses
        gain = ((2 * gap[here] * change + change**2) * weights[here]).sum(1)
        loss = ((-2 * gap[parts] * change + change**2) * weights[parts]).sum(1)
        total = np.where(parts == here, 0.0, gain + loss)
        other = int(np.argmin(total))
        if total[other] < -1e-9:
            there = parts[other]
            gap[here] += change[other]
            gap[there] -= change[other]
            parts[unit], parts[other] = there, here
            swapped = True
    return swapped
