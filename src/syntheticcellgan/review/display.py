"""How figures are shown in pages and reports; apart, so that a page without figures need not load the statistics."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from syntheticcellgan.cell_types import resolve

if TYPE_CHECKING:
    from syntheticcellgan.review.statistics import Estimate


def show_share(estimate: Estimate) -> str:
    """“52.3 % (50.5 – 54.1)” or a dash; a line may break before the bracket, nowhere else."""
    if estimate.value != estimate.value:
        return "–"
    return f"{_signed(100 * estimate.value, 1)}\u00a0% ({_bounds(100 * estimate.low, 100 * estimate.high, 1)})"


def show_number(estimate: Estimate) -> str:
    """“0.41 (0.30 – 0.52)” or a dash."""
    return (
        "–"
        if estimate.value != estimate.value
        else f"{_signed(estimate.value)} ({_bounds(estimate.low, estimate.high, 2)})"
    )


def show_p(p: float) -> str:
    return "–" if p != p else "< 0.001" if p < 0.001 else f"{p:.3f}"


def _bounds(low: float, high: float, digits: int) -> str:
    return "no interval" if low != low else f"{_signed(low, digits)}\u00a0–\u00a0{_signed(high, digits)}"


def _signed(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


def filters() -> dict[str, Any]:
    """What templates show figures with."""
    return {"share": show_share, "number": show_number, "p": show_p, "title_of": lambda name: resolve(name).title}
