"""Nucleus and whole cell of the white cell in the middle of a crop, by classical means: no trained weights, any stain.

    segment(image) -> Segmentation      # masks of nucleus, cell and empty slide, or the reason why there are none
    dice(mask, reference) -> float      # overlap of two masks, 0 to 1
    background_colour(image) -> (3,)    # of the empty slide alone, quickly

The steps, all at 128 × 128 pixels, each adapting to the colours of the one image:

1. Background: the brightest mode of brightness, with a plane fitted to it for uneven light. Everything after works on
   the share of light absorbed per channel, relative to that background.
2. First nucleus: Romanowsky stains make chromatin absorb green most and red next; haemoglobin and eosinophil granules
   absorb blue as well. Multi-level Otsu (Liao et al. 2001) on 2·green + red − 0.8·blue near the centre.
3. Cell: colour histograms of "inside" and "outside" give each pixel a log-likelihood ratio, as GrabCut does (Rother et
   al. 2004); red cells and the empty slide enter as "outside" by what the rim of the crop looks like. The outline is
   the closed path around the centre that gathers most evidence inside and runs along edges: a star-convex shape
   (Veksler 2008), found by dynamic programming (Amini et al. 1990) in polar coordinates. Repeated three times with
   the histograms of the cell found.
4. Nucleus: the threshold inside the cell that maximises Otsu's criterion (1979) plus the mean contrast across its own
   contour (Kohler 1981): texture of chromatin has much variance but weak contours.

Known limits: touching white cells of one colour may be taken together; coarse granules that hide the nucleus
(basophils) count as nucleus; arms of a cell that are not visible from its centre are cut off; a platelet has no
nucleus, its granulomere is returned as one.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image
from scipy import ndimage
from skimage.color import rgb2lab
from skimage.filters import threshold_multiotsu
from skimage.morphology import disk

from syntheticcellgan.errors import InputError

SMALLEST, LARGEST = 64, 512  # pixels per side that `segment` accepts

_SIZE = 128  # working size; a cell of 256 native pixels keeps contours exact to about one of its pixels
_ANGLES, _RADII = 72, 60
_REACH = 0.49  # of the side: the largest radius that the outline may have
_TYPICAL_RADIUS = 0.33  # of the side: beyond it a pixel needs evidence to belong to the cell
_BINS = 12  # per axis of the colour histograms
_EVIDENCE = 2.5  # log-likelihood ratios are cut here, so that no colour decides alone

_ROWS, _COLUMNS = np.mgrid[:_SIZE, :_SIZE].astype(np.float32)
_FROM_CENTRE = np.hypot(_ROWS - (_SIZE - 1) / 2, _COLUMNS - (_SIZE - 1) / 2) / _SIZE
_PLANE = np.stack(
    [np.ones(_SIZE * _SIZE), (_ROWS.ravel() - _SIZE / 2) / _SIZE, (_COLUMNS.ravel() - _SIZE / 2) / _SIZE], axis=1
).astype(np.float32)


@dataclass(frozen=True)
class Segmentation:
    """What `segment` found. All masks are (H, W) bool in the pixels of the image; on failure they are empty.

    nucleus: part of cell. cell: nucleus and cytoplasm. background: empty slide (may be empty in a crowded field).
    failure: None, or one plain reason.
    """

    nucleus: np.ndarray
    cell: np.ndarray
    background: np.ndarray
    failure: str | None = None

    @property
    def cytoplasm(self) -> np.ndarray:
        return self.cell & ~self.nucleus


def dice(mask: np.ndarray, reference: np.ndarray) -> float:
    """Dice coefficient 2|A∩B| / (|A| + |B|) of two bool masks of one shape; 1.0 if both are empty."""
    total = int(mask.sum()) + int(reference.sum())
    return 2.0 * int((mask & reference).sum()) / total if total else 1.0


def background_colour(image: np.ndarray) -> np.ndarray:
    """Colour (3,), 0 … 255, of the empty slide in `image`, (H, W, 3) uint8: of its brightest frequent pixels.

    In a field so crowded that no slide shows it is the colour of the palest thing in it; the caller must know better.
    """
    return _brightest_mode(np.asarray(Image.fromarray(image).resize((_SIZE, _SIZE), Image.Resampling.BOX)))


def segment(image: np.ndarray) -> Segmentation:
    """Segments the centred white cell of `image`, (H, W, 3) uint8 with sides of 64 to 512 pixels.

    Of an image that is not square, only the central square is looked at. An image that cannot be segmented (blank, no
    stained object near the centre, cell running out of the frame) gives a `failure`, never an exception.
    """
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
        raise InputError(f"segmentation needs an (H, W, 3) uint8 image, not {image.shape} {image.dtype}")
    height, width = image.shape[:2]
    side = min(height, width)
    if side < SMALLEST or max(height, width) > LARGEST:
        raise InputError(
            f"segmentation needs images of {SMALLEST} to {LARGEST} pixels a side, not {height}×{width}: resize them"
        )
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    filter_ = Image.Resampling.BOX if side >= 2 * _SIZE else Image.Resampling.BILINEAR
    found = _segment_square(np.asarray(Image.fromarray(square).resize((_SIZE, _SIZE), filter_)))

    def whole(mask: np.ndarray) -> np.ndarray:
        full = np.zeros((height, width), bool)
        full[top : top + side, left : left + side] = _enlarge(mask, side)
        return full

    if isinstance(found, str):
        nothing = np.zeros((height, width), bool)
        return Segmentation(nothing, nothing, nothing, found)
    nucleus, cell, background = (whole(mask) for mask in found)
    return Segmentation(nucleus & cell, cell, background & ~cell)


def _segment_square(image: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray] | str:
    """Masks (nucleus, cell, background) at the working size, or the reason of failure."""
    white = _brightest_mode(image)
    absorbed = 1.0 - image.astype(np.float32) / _illumination(image, white)
    chromatin = 2.0 * absorbed[..., 1] + absorbed[..., 0] - 0.8 * np.clip(absorbed[..., 2], 0.0, None)
    first = _first_nucleus(ndimage.gaussian_filter(chromatin, 1.0))
    if first is None:
        return "no stained object near the centre"
    core, others = first
    depth = float(np.median(absorbed[core].max(axis=1)))  # how much the nucleus absorbs: the scale of contrast
    if depth < 0.08:
        return "no stained object near the centre"
    distance = ndimage.distance_transform_edt(~core)
    pale = np.abs(ndimage.gaussian_filter(absorbed, (0.7, 0.7, 0.0))).max(axis=2) < 0.2 * min(depth, 0.5)
    colours = rgb2lab(np.clip((1.0 - absorbed) * (white / 255.0).astype(np.float32), 0.0, 1.0))
    cell, runs_out = _outline(colours, core, others, pale & (distance > 4.0), distance)
    if runs_out > 0.4:
        return "the cell runs out of the frame"
    nucleus = _nucleus_inside(ndimage.gaussian_filter(chromatin, 1.4), cell)
    if nucleus is None:
        return "no nucleus stands out in the cell"
    return nucleus, cell, pale & (ndimage.distance_transform_edt(~cell) > 3.0)


def _brightest_mode(image: np.ndarray) -> np.ndarray:
    """Median colour (3,) of the brightest frequent mode of brightness."""
    brightness = image.reshape(-1, 3) @ np.array([0.3, 0.5, 0.2])
    histogram = np.bincount(brightness.astype(int), minlength=256).astype(float)
    histogram = ndimage.gaussian_filter1d(histogram, 3.0, mode="nearest")
    padded = np.pad(histogram, 1)
    modes = (histogram >= padded[:-2]) & (histogram >= padded[2:]) & (histogram > 0.25 * histogram.max())
    mode = int(np.flatnonzero(modes)[-1])
    return np.median(image.reshape(-1, 3)[np.abs(brightness - mode) <= 5.5], axis=0)


def _illumination(image: np.ndarray, white: np.ndarray) -> np.ndarray:
    """The light (S, S, 3) that the empty slide would show at each pixel: a plane in log intensity, fitted robustly."""
    # Every second pixel and row is plenty for three numbers.
    logs = np.log(image[::2, ::2].reshape(-1, 3).astype(np.float32) + 1.0)
    field = np.broadcast_to(np.log(white + 1.0).astype(np.float32), logs.shape)
    plane = _PLANE.reshape(_SIZE, _SIZE, 3)[::2, ::2].reshape(-1, 3)
    ridge = np.diag([0.0, 0.003, 0.003]) * len(logs)  # no slope without wide support
    fitted = np.array([np.log(white + 1.0), np.zeros(3), np.zeros(3)])
    for tolerance in (0.15, 0.10, 0.07):
        chosen = np.abs(logs - field).max(axis=1) < tolerance
        if chosen.mean() < 0.05:
            break
        few = plane[chosen]
        fitted = np.linalg.solve(few.T @ few + ridge, few.T @ logs[chosen])
        field = plane @ fitted.astype(np.float32)
    return np.exp(_PLANE @ fitted.astype(np.float32)).reshape(image.shape)


def _first_nucleus(chromatin: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(The dark parts that belong to the centre, other large dark parts), or None."""
    centre = chromatin[_FROM_CENTRE < 0.33]
    if centre.max() - centre.min() < 0.05:
        return None
    labels, count = ndimage.label(chromatin > threshold_multiotsu(centre, 3, nbins=64)[1])
    if count == 0:
        return None
    area = np.bincount(labels.ravel(), minlength=count + 1)[1:]
    nearness = np.bincount(labels.ravel(), np.exp(-0.5 * (_FROM_CENTRE / 0.18) ** 2).ravel(), count + 1)[1:]
    mine = nearness > 0.25 * nearness.max()
    core = ndimage.binary_fill_holes(np.isin(labels, 1 + np.flatnonzero(mine)))
    if nearness.max() < 10.0:  # specks, or dark only at the rim
        return None
    return core, np.isin(labels, 1 + np.flatnonzero(~mine & (area > 0.2 * core.sum())))


class _ColourHistogram:
    """Three-dimensional colour histogram of one image; compares two weightings of its pixels."""

    def __init__(self, colours: np.ndarray) -> None:
        flat = ndimage.gaussian_filter(colours, (0.7, 0.7, 0.0)).reshape(-1, 3)
        low, high = np.percentile(flat, [0.5, 99.5], axis=0)
        bins = np.clip(((flat - low) / (high - low + 1e-6) * _BINS).astype(int), 0, _BINS - 1)
        self._bin = (bins[:, 0] * _BINS + bins[:, 1]) * _BINS + bins[:, 2]

    def _density(self, weights: np.ndarray) -> np.ndarray:
        counts = np.bincount(self._bin, weights.ravel(), _BINS**3).reshape(_BINS, _BINS, _BINS)
        return ndimage.gaussian_filter(counts, 0.8, mode="nearest").ravel() / max(float(weights.sum()), 1.0)

    def log_ratio(self, inside: np.ndarray, outside: np.ndarray) -> np.ndarray:
        """log p(colour | inside) / p(colour | outside) per pixel, (S, S); 0 for colours that neither has."""
        floor = 3e-4
        ratio = np.log((self._density(inside) + floor) / (self._density(outside) + floor))
        return ratio[self._bin].reshape(_SIZE, _SIZE)


def _outline(
    colours: np.ndarray, core: np.ndarray, others: np.ndarray, pale: np.ndarray, distance: np.ndarray
) -> tuple[np.ndarray, float]:
    """The cell around `core`, and the share of its outline that lies at the edge of the frame."""
    edges = np.sqrt(
        sum(ndimage.gaussian_filter(colours, (1.2, 1.2, 0.0), order=(*order, 0)) ** 2 for order in ((1, 0), (0, 1)))
    ).sum(axis=2)
    edges = np.clip(edges / (np.percentile(edges, 97) + 1e-6), 0.0, 1.5)
    histogram = _ColourHistogram(colours)
    scale = np.sqrt(core.sum() / np.pi)
    angles = np.arange(_ANGLES) * 2 * np.pi / _ANGLES
    radii = (np.arange(_RADII) + 0.5) * _REACH * _SIZE / _RADII
    # The crop is centred on the cell, the nucleus often is not: start half-way.
    centre = 0.5 * np.argwhere(core).mean(axis=0) + 0.5 * (_SIZE - 1) / 2
    inside = np.exp(-0.5 * (distance / 5.0) ** 2) * ~pale
    outside = (_FROM_CENTRE > 0.40) | pale
    cell, path = core, np.zeros(_ANGLES, int)
    for repeat in range(3):
        if repeat:
            # Just around the outline nothing is certain: colours met only there stay neutral.
            far = ndimage.distance_transform_edt(~cell) > 8.0
            inside, outside = cell.astype(float), (_FROM_CENTRE > 0.45) | far | (pale & ~cell)
            centre = np.argwhere(cell).mean(axis=0)
        down, right = _ROWS - centre[0], _COLUMNS - centre[1]
        radius = np.hypot(down, right)
        nearness = 0.7 * np.tanh((_TYPICAL_RADIUS - radius / _SIZE) / 0.1)
        evidence = histogram.log_ratio(inside, ((outside & ~core) | others).astype(float)) + nearness
        evidence = ndimage.gaussian_filter(np.clip(evidence, -_EVIDENCE, _EVIDENCE), 1.0)
        evidence[core], evidence[others] = _EVIDENCE, -_EVIDENCE
        places = [centre[0] + np.sin(angles)[:, None] * radii, centre[1] + np.cos(angles)[:, None] * radii]
        along = ndimage.map_coordinates(evidence, places, order=1, mode="nearest") * (radii / scale)
        path = _closed_path(
            -np.cumsum(along, axis=1) - 6.0 * ndimage.map_coordinates(edges, places, order=1, mode="nearest")
        )
        outline = ndimage.gaussian_filter1d(radii[path], 1.0, mode="wrap")
        cell = radius <= np.interp(np.arctan2(down, right), angles, outline, period=2 * np.pi)
    return cell, float((path >= _RADII - 2).mean())


def _closed_path(cost: np.ndarray, widest_step: int = 2) -> np.ndarray:
    """Index of the radius per angle, (angles,), that minimises the sum of `cost` (angles, radii) plus squared steps.

    Viterbi over the angles, begun a quarter turn early and ended a quarter turn late, so that the ends meet.
    """
    angles, radii = cost.shape
    lead = angles // 4
    wrapped = np.concatenate([cost[-lead:], cost, cost[:lead]])
    steps = np.arange(-widest_step, widest_step + 1)
    penalty = (steps**2.0)[:, None]
    padded = np.full(radii + 2 * widest_step, np.inf)
    padded[widest_step:-widest_step] = wrapped[0]
    shifted = np.lib.stride_tricks.sliding_window_view(padded, radii)  # row k: the total at radius + steps[k]
    chosen = np.zeros(wrapped.shape, np.int8)
    columns = np.arange(radii)
    for i in range(1, len(wrapped)):
        candidates = shifted + penalty
        chosen[i] = candidates.argmin(axis=0)
        padded[widest_step:-widest_step] = candidates[chosen[i], columns] + wrapped[i]
    path = np.empty(len(wrapped), int)
    path[-1] = np.argmin(padded[widest_step:-widest_step])
    for i in range(len(wrapped) - 1, 0, -1):
        path[i - 1] = path[i] + steps[chosen[i, path[i]]]
    return path[lead : lead + angles]


def _nucleus_inside(chromatin: np.ndarray, cell: np.ndarray) -> np.ndarray | None:
    """The nucleus within `cell`, cleaned of specks, dark rims and small holes; None if there is none."""
    inner = ndimage.binary_erosion(cell, iterations=2)
    values = chromatin[inner]
    if values.size < 30 or float(np.ptp(values)) < 1e-3:
        return None
    # Chromatin varies, but little of it absorbs less than 0.85 of the dark parts: a cell that is nearly all nucleus
    # (lymphocyte) is not split into its dark and its light chromatin.
    threshold = min(_threshold(chromatin, inner), 0.85 * float(np.percentile(values, 90)))
    nucleus = ndimage.binary_opening((chromatin > threshold) & cell, disk(2))
    nucleus = ndimage.binary_closing(nucleus, disk(1)) & cell
    labels, count = ndimage.label(nucleus)
    if count == 0:
        return None
    area = np.bincount(labels.ravel())[1:]
    nucleus = np.isin(labels, 1 + np.flatnonzero(area >= 0.06 * area.sum()))
    holes, _ = ndimage.label(~nucleus)
    return nucleus | np.isin(holes, np.flatnonzero(np.bincount(holes.ravel()) < 0.03 * nucleus.sum()))


def _threshold(chromatin: np.ndarray, inner: np.ndarray, bins: int = 64) -> float:
    """The threshold within `inner` with the largest Otsu criterion + 0.6 × mean contrast across its contour."""
    low, high = float(chromatin[inner].min()), float(chromatin[inner].max())
    level = np.clip(((chromatin - low) / (high - low) * bins).astype(int), 0, bins - 1)
    counts = np.bincount(level[inner], minlength=bins).astype(float)
    below, moment = np.cumsum(counts), np.cumsum(counts * np.arange(bins))
    above = below[-1] - below
    difference = (moment[-1] - moment) / np.maximum(above, 1.0) - moment / np.maximum(below, 1.0)
    between = below * above * difference**2
    # Each pair of neighbours is cut by every threshold between its two levels: add its contrast to those.
    contrast, pairs = np.zeros(bins + 1), np.zeros(bins + 1)
    for axis in (0, 1):
        here, there = np.moveaxis(level, axis, 0)[1:], np.moveaxis(level, axis, 0)[:-1]
        both = np.moveaxis(inner, axis, 0)[1:] & np.moveaxis(inner, axis, 0)[:-1]
        darker, lighter = np.maximum(here, there)[both], np.minimum(here, there)[both]
        step = (darker - lighter).astype(float)
        contrast += np.bincount(lighter, step, bins + 1) - np.bincount(darker, step, bins + 1)
        pairs += np.bincount(lighter, minlength=bins + 1) - np.bincount(darker, minlength=bins + 1)
    mean_contrast = np.cumsum(contrast)[:bins] / (np.cumsum(pairs)[:bins] + 5.0)  # + 5: short contours are chance
    mean_contrast = ndimage.gaussian_filter1d(mean_contrast, 1.5)
    score = between / (between.max() + 1e-9) + 0.6 * mean_contrast / (mean_contrast.max() + 1e-9)
    return low + (int(score[:-1].argmax()) + 1) / bins * (high - low)


def _enlarge(mask: np.ndarray, side: int) -> np.ndarray:
    """`mask` (S, S) as (side, side) bool with a smooth contour."""
    soft = Image.fromarray(ndimage.gaussian_filter(mask * np.float32(255.0), 0.7).astype(np.uint8))
    return np.asarray(soft.resize((side, side), Image.Resampling.BICUBIC)) > 127
