"""Fingerprints of cells, for finding copies: the picture of one cell in 450 numbers, whatever its turn, flip or stain.

    fingerprint(images, zoom=1.0) -> (N, DIM) float16
    views(images) -> (len(ZOOMS), N, DIM) float16          # a query: the image and what it would be before a crop
    nearest(queries, among, own=None) -> Nearest  # greatest correlation over all turns, flips and zooms

A copy-detection descriptor in the spirit of Fourier-Mellin matching (Casasent & Psaltis, Applied Optics 15, 1976),
made for cells. In grey (64×64):
1. The centre is the fixed point of a Gaussian-weighted mean of the dark pixels (mean shift): shifts and crops move it
   with the cell. Darkness is the rank among the pixels, so any monotone recolouring leaves it alone.
2. Grey values on 18 rings about the centre, out to 0.81 half-widths (the cell and its neighbours), are replaced by
   their rank among all of them: brightness, contrast and stain drop out, structure stays.
3. Each ring's Fourier series over the angle, harmonics 0 … 12. A turn is then a phase and a flip is a conjugation, so
   the correlation at all 32 turns × 2 flips (the eight symmetries of the square among them, exactly) comes from one
   set of products. Harmonics are weighted m^0.7, which evens out the 1/f spectrum of images; rings √r, by their area.
The vector has length 1; similarity is a correlation (≤ 1), distance 1 − similarity.

A crop magnifies: a query is therefore looked at in four zooms (crops down to 80 % of the side).

From a fingerprint a coarse grey picture of the cell could be rebuilt: it is not anonymous as a checksum is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.batches import ImageSource, batches

RINGS = 18
HARMONICS = 13
DIM = RINGS * (2 * HARMONICS - 1)
ZOOMS = (1.0, 1.07, 1.15, 1.23)

_SIDE = 64  # pixels of the grey picture
_ANGLES = 64  # samples per ring
_TURNS = 32  # turns tried when matching; a multiple of four
_RADIUS = 0.81  # outermost ring, in half-widths
_WINDOW = 0.3  # standard deviation of the window that finds the centre, in half-widths
_DARK = 0.35  # share of the pixels that count as dark
_BATCH = 64
_AMONG = 256  # compared at a time: larger blocks leave the processor's cache and take four times as long

Progress = Callable[[int], None]
"""Called with the number of images done since the last call."""


def fingerprint(images: ImageSource, zoom: float = 1.0, progress: Progress | None = None) -> np.ndarray:
    """Fingerprints of `images` (paths or (H, W, 3) uint8 arrays of any size), (N, DIM) float16 of length 1.

    zoom: how much larger the cell is taken to be than it was; see `ZOOMS`. An image of one colour gives zeros.
    Grey arrays are refused, unreadable files raise InputError with their name.
    """
    return _describe(images, (zoom,), progress)[0]


def views(images: ImageSource, progress: Progress | None = None) -> np.ndarray:
    """`fingerprint` at each of `ZOOMS`, (len(ZOOMS), N, DIM) float16: what to look for when crops are to be found."""
    return _describe(images, ZOOMS, progress)


def _describe(images: ImageSource, zooms: tuple[float, ...], progress: Progress | None) -> np.ndarray:
    parts: list[np.ndarray] = []
    for batch in batches(images, _grey, _BATCH):
        pixels = torch.from_numpy(batch)
        with torch.inference_mode():
            parts.append(np.stack([_fingerprint(pixels, zoom).numpy().astype(np.float16) for zoom in zooms]))
        if progress is not None:
            progress(len(batch))
    return np.concatenate(parts, axis=1) if parts else np.zeros((len(zooms), 0, DIM), np.float16)


def _grey(image: np.ndarray) -> np.ndarray:
    """(H, W, 3) uint8 → (64, 64) float32 luminance of the centre square, averaged over areas."""
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    # Floating point from here: rounding to bytes between the two passes would differ from turn to turn.
    grey = Image.fromarray(image).convert("L").convert("F")
    box = (left, top, left + side, top + side)
    return np.asarray(grey.resize((_SIDE, _SIDE), Image.Resampling.BOX, box), np.float32)


def _fingerprint(grey: Tensor, zoom: float) -> Tensor:
    """(N, 64, 64) → (N, DIM) float32."""
    x, y = _centre(grey, zoom)
    radius = (torch.arange(RINGS) + 0.5) / RINGS * _RADIUS * zoom
    angle = torch.arange(_ANGLES) * (2 * math.pi / _ANGLES)
    points = torch.stack([radius[:, None] * angle.cos(), radius[:, None] * angle.sin()], dim=-1)
    grid = points + torch.stack([x, y], dim=-1)[:, None, None]
    # Reflection keeps a ring that leaves the picture from meeting an artificial edge.
    rings = F.grid_sample(grey[:, None], grid, mode="bilinear", padding_mode="reflection", align_corners=False)
    ranks = _ranks(rings.flatten(1)).view(len(grey), RINGS, _ANGLES) - 0.5
    series = torch.fft.rfft(ranks, dim=2)[:, :, :HARMONICS]
    weights = torch.arange(HARMONICS).float().pow(0.7)
    weights[0] = 0.3  # the rings' mean: the same for most round cells, so it says little
    series = series * weights * radius.sqrt()[:, None]
    series = series / series.abs().square().sum(dim=(1, 2), keepdim=True).sqrt().clamp_min(1e-9)
    return torch.cat([series.real.flatten(1), series.imag[:, :, 1:].flatten(1)], dim=1)


def _centre(grey: Tensor, zoom: float, steps: int = 12) -> tuple[Tensor, Tensor]:
    """Centre of the cell in half-widths from the middle, two (N,); window and share of dark pixels follow the zoom."""
    dark = (1 - _ranks(grey.flatten(1)) / min(_DARK * zoom**2, 0.8)).clamp_min(0)
    axis = (torch.arange(_SIDE) + 0.5) / (_SIDE / 2) - 1
    rows, columns = axis.repeat_interleave(_SIDE), axis.repeat(_SIDE)
    x = y = torch.zeros(len(grey), 1)
    for _ in range(steps):
        window = dark * torch.exp(-((columns - x).square() + (rows - y).square()) / (2 * (_WINDOW * zoom) ** 2))
        mass = window.sum(dim=1, keepdim=True) + 1e-6
        x, y = (window * columns).sum(dim=1, keepdim=True) / mass, (window * rows).sum(dim=1, keepdim=True) / mass
    return x[:, 0], y[:, 0]


def _ranks(values: Tensor) -> Tensor:
    """Rank of each value in its row, 0 … 1, ties sharing their mean rank (so that order in memory does not matter)."""
    values = (values * 4).round()  # quarter grey levels: what floating point adds must not break ties
    ordered = values.sort(dim=1).values
    below = torch.searchsorted(ordered, values)
    up_to = torch.searchsorted(ordered, values, right=True)
    return (below + up_to) / (2 * values.shape[1])


@dataclass(frozen=True)
class Nearest:
    """For each query the most similar fingerprint: similarity (N,) float32, 0 … 1, and its index (N,) int64."""

    similarity: np.ndarray
    index: np.ndarray


def nearest(
    queries: np.ndarray, among: np.ndarray, *, own: np.ndarray | None = None, progress: Progress | None = None
) -> Nearest:
    """The most similar of `among`, (M, DIM), to each of `queries`, (Z, N, DIM) or (N, DIM), over turns, flips, zooms.

    own: (N,) where each query itself stands in `among`; an image is not its own neighbour.
    InputError if there is nothing to compare with, or if numbers are not finite.
    """
    looks = queries[None] if queries.ndim == 2 else queries
    if among.ndim != 2 or among.shape[1] != DIM or looks.shape[2] != DIM:
        raise InputError(f"Fingerprints have {DIM} numbers each; these have {looks.shape[2]} and {among.shape[-1]}.")
    if len(among) < 1 + (own is not None):
        raise InputError("There is no fingerprint to compare with.")
    if not (np.isfinite(looks).all() and np.isfinite(among).all()):
        raise InputError("Fingerprints contain NaN or infinity; make them anew from the images.")
    n = looks.shape[1]
    itself = None if own is None else torch.from_numpy(np.asarray(own, np.int64))
    best, index = torch.full((n,), -2.0), torch.zeros(n, dtype=torch.int64)
    with torch.inference_mode():
        for start in range(0, n, _BATCH):
            rows = slice(start, min(start + _BATCH, n))
            for offset in range(0, len(among), _AMONG):
                other = _by_harmonic(among[offset : offset + _AMONG])
                for look in looks:
                    similarity = _correlation(_by_harmonic(look[rows]), other)
                    if itself is not None:
                        column = itself[rows] - offset
                        inside = (column >= 0) & (column < similarity.shape[1])
                        similarity[inside.nonzero()[:, 0], column[inside]] = -2.0
                    value, where = similarity.max(dim=1)
                    index[rows] = torch.where(value > best[rows], where + offset, index[rows])
                    best[rows] = torch.maximum(value, best[rows])
            if progress is not None:
                progress(rows.stop - rows.start)
    return Nearest(best.clamp(0, 1).numpy(), index.numpy())


def _by_harmonic(fingerprints: np.ndarray) -> Tensor:
    """(N, DIM) float16 → (HARMONICS, 2 N, RINGS): real parts, then imaginary parts."""
    flat = torch.from_numpy(fingerprints.astype(np.float32))
    real = flat[:, : RINGS * HARMONICS].view(-1, RINGS, HARMONICS)
    imaginary = F.pad(flat[:, RINGS * HARMONICS :].view(-1, RINGS, HARMONICS - 1), (1, 0))
    return torch.cat([real, imaginary]).permute(2, 0, 1).contiguous()


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    """Greatest correlation over turns and flips of (HARMONICS, 2 N, RINGS) and (HARMONICS, 2 M, RINGS): (N, M).

    With c = Σ conj(a) b per harmonic m, a turn by θ has the correlation Σ Re(c e^(imθ)); a flip conjugates a.
    """
    n, m = a.shape[1] // 2, b.shape[1] // 2
    products = a @ b.transpose(1, 2)
    phase = torch.arange(HARMONICS) * (torch.arange(_TURNS) * (2 * math.pi / _TURNS))[:, None]
    even = torch.cat([products[:, :n, :m], products[:, :n, m:]]).view(2 * HARMONICS, n * m)
    odd = torch.cat([products[:, n:, m:], products[:, n:, :m]]).view(2 * HARMONICS, n * m)
    unflipped = torch.cat([phase.cos(), -phase.sin()], dim=1) @ even
    change = torch.cat([phase.cos(), phase.sin()], dim=1) @ odd
    return (unflipped + change.abs_()).amax(dim=0).view(n, m)
