"""Morphology of cells as numbers: sizes, shapes, textures and colours of nucleus and cytoplasm, per cell.

    measure(image, micrometres_per_pixel=None, nucleated=True) -> CellMorphology
    measure_set(images, labels, …) -> MorphologyTable        # NaN where the segmentation fails; failures counted
    compare(real, synthetic) is in morphology_comparison.py

Definitions follow the handbooks of the field: nucleus-to-cell area ratio as the N:C ratio (bounded, unlike nucleus over
cytoplasm), circularity 4πA/P² (Cox 1927), solidity as area over convex hull, lobes as parts of
the nucleus that narrows separate. Colours are CIE 1976 L*a*b*, D65, means over the pixels of a region.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np
from scipy import ndimage
from scipy.spatial import ConvexHull, QhullError
from skimage.color import rgb2lab
from skimage.measure import find_contours
from skimage.morphology import h_maxima

from syntheticcellgan.cell_types import CELL_TYPES, resolve
from syntheticcellgan.errors import InputError
from syntheticcellgan.segmentation import Segmentation, segment

NOT_NUCLEATED = frozenset(name for name, kind in CELL_TYPES.items() if "platelet" in (name, kind.parent))

_NECK = 0.65  # a narrow below this share of the smaller neighbour's half-width separates two lobes
_SMALLEST_LOBE = 0.35  # of the half-width of the widest


@dataclass(frozen=True)
class CellMorphology:
    """One cell. Areas in pixels, and in µm² where the scale is known; NaN for whatever could not be measured.

    nc_ratio: nucleus area / cell area, 0 to 1. *_circularity: 1 for a disc, less for anything else. nucleus_solidity:
    nucleus area / area of its convex hull. lobes: number of lobes. chromatin_texture, granularity: standard deviation
    of fine detail of L* (what a Gaussian of 1 % of the image side removes) in nucleus and cytoplasm, in units of L*; to be
    compared within a type, since across types it follows the depth of the stain more than the granules.
    *_l, *_a, *_b: mean CIE L*a*b*. failure: None, or why the segmentation failed.
    """

    cell_area: float = math.nan
    nucleus_area: float = math.nan
    cell_area_um2: float = math.nan
    nucleus_area_um2: float = math.nan
    nc_ratio: float = math.nan
    cell_circularity: float = math.nan
    nucleus_circularity: float = math.nan
    nucleus_solidity: float = math.nan
    lobes: float = math.nan
    chromatin_texture: float = math.nan
    granularity: float = math.nan
    nucleus_l: float = math.nan
    nucleus_a: float = math.nan
    nucleus_b: float = math.nan
    cytoplasm_l: float = math.nan
    cytoplasm_a: float = math.nan
    cytoplasm_b: float = math.nan
    background_l: float = math.nan
    background_a: float = math.nan
    background_b: float = math.nan
    failure: str | None = None


FEATURES: tuple[str, ...] = tuple(field.name for field in fields(CellMorphology) if field.name != "failure")


@dataclass(frozen=True)
class MorphologyTable:
    """The morphology of a set of cells.

    values: (N, len(FEATURES)) float64, NaN where not measured. labels, failures: one per cell. side: pixels per side
    of the images (0 for an empty set). micrometres_per_pixel: None if unknown.
    """

    values: np.ndarray
    labels: tuple[str, ...]
    failures: tuple[str | None, ...]
    side: int
    micrometres_per_pixel: float | None = None

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def cell_types(self) -> tuple[str, ...]:
        return tuple(sorted(set(self.labels)))

    def column(self, feature: str, cell_type: str | None = None) -> np.ndarray:
        """The measured (finite) values of one feature, of all cells or of one type."""
        values = self.values[:, FEATURES.index(feature)]
        if cell_type is not None:
            values = values[np.array(self.labels) == cell_type]
        return values[np.isfinite(values)]

    def failed(self, cell_type: str | None = None) -> int:
        """Number of cells whose segmentation failed."""
        return sum(
            failure is not None
            for failure, label in zip(self.failures, self.labels, strict=True)
            if cell_type in (None, label)
        )


def measure_set(
    images: Iterable[np.ndarray],
    labels: Sequence[str],
    *,
    micrometres_per_pixel: float | None = None,
    progress: Callable[[int], None] | None = None,
) -> MorphologyTable:
    """Measures `images`, (H, W, 3) uint8 of one size, read one at a time; `labels` are their cell types.

    Platelets and their kin are measured without a nucleus. `progress` is called with the number of cells done.
    InputError: images of differing sizes (resize them first), or another number of labels than of images.
    """
    rows: list[CellMorphology] = []
    shape: tuple[int, ...] | None = None
    for image in images:
        if len(rows) == len(labels):
            raise InputError(f"there are more images than the {len(labels)} labels: give one label per image")
        if shape is not None and image.shape != shape:
            raise InputError(f"image {len(rows) + 1} is {image.shape}, those before {shape}: resize them to one size")
        shape = image.shape
        nucleated = resolve(labels[len(rows)]).name not in NOT_NUCLEATED
        rows.append(measure(image, micrometres_per_pixel=micrometres_per_pixel, nucleated=nucleated))
        if progress is not None:
            progress(len(rows))
    if len(rows) != len(labels):
        raise InputError(f"there are {len(rows)} images and {len(labels)} labels: give one label per image")
    values = np.array([[getattr(row, name) for name in FEATURES] for row in rows], dtype=np.float64)
    return MorphologyTable(
        values.reshape(len(rows), len(FEATURES)),
        tuple(labels),
        tuple(row.failure for row in rows),
        min(shape[:2]) if shape else 0,
        micrometres_per_pixel,
    )


def measure(image: np.ndarray, *, micrometres_per_pixel: float | None = None, nucleated: bool = True) -> CellMorphology:
    """Segments and measures the centred cell of `image`, (H, W, 3) uint8 with sides of 64 to 512 pixels."""
    if micrometres_per_pixel is not None and not micrometres_per_pixel > 0:
        raise InputError(f"micrometres_per_pixel must be greater than 0, not {micrometres_per_pixel}")
    return measure_segmented(image, segment(image), micrometres_per_pixel=micrometres_per_pixel, nucleated=nucleated)


def measure_segmented(
    image: np.ndarray,
    found: Segmentation,
    *,
    micrometres_per_pixel: float | None = None,
    nucleated: bool = True,
) -> CellMorphology:
    """As `measure`, of a segmentation at hand (from `segment`, or an expert's masks)."""
    if found.failure is not None:
        return CellMorphology(failure=found.failure)
    if not found.cell.any():
        return CellMorphology(failure="no cell")
    lab = rgb2lab(image).astype(np.float32)
    sigma = 0.01 * min(image.shape[:2])
    scale = math.nan if micrometres_per_pixel is None else micrometres_per_pixel**2
    cell_area = float(found.cell.sum())
    measured: dict[str, float] = {
        "cell_area": cell_area,
        "cell_area_um2": cell_area * scale,
        "cell_circularity": circularity(found.cell),
        **_colour("background", lab, found.background),
    }
    # Without a nucleus the whole cell counts as cytoplasm.
    cytoplasm = found.cytoplasm if nucleated else found.cell
    measured |= _colour("cytoplasm", lab, cytoplasm) | {"granularity": _texture(lab[..., 0], cytoplasm, sigma)}
    if nucleated and found.nucleus.any():
        area = float(found.nucleus.sum())
        measured |= {
            "nucleus_area": area,
            "nucleus_area_um2": area * scale,
            "nc_ratio": area / cell_area,
            "nucleus_circularity": circularity(found.nucleus),
            "nucleus_solidity": solidity(found.nucleus),
            "lobes": float(count_lobes(found.nucleus)),
            "chromatin_texture": _texture(lab[..., 0], found.nucleus, sigma),
            **_colour("nucleus", lab, found.nucleus),
        }
    return CellMorphology(failure=None, **measured)


def circularity(mask: np.ndarray) -> float:
    """4πA/P² of a bool mask, at most 1; P is the length of the outlines of all its parts and holes.

    The outline is traced with sub-pixel steps (marching squares) on the mask smoothed by one pixel: counting steps along
    pixels would make a disc's outline too long, and depend on its direction.
    """
    rows, columns = np.nonzero(mask)
    if len(rows) == 0:
        return math.nan
    window = np.pad(mask[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], 4).astype(np.float32)
    lines = find_contours(ndimage.gaussian_filter(window, 1.0), 0.5)
    length = sum(float(np.hypot(*np.diff(line, axis=0).T).sum()) for line in lines)
    return min(1.0, 4 * math.pi * len(rows) / length**2) if length > 0 else math.nan


def solidity(mask: np.ndarray) -> float:
    """Area over the area of the convex hull of a bool mask, all parts together; NaN for fewer than three pixels."""
    edge = np.argwhere(mask & ~ndimage.binary_erosion(mask)).astype(float)
    corners = (edge[:, None, :] + np.array([[-0.5, 0.0], [0.5, 0.0], [0.0, -0.5], [0.0, 0.5]])).reshape(-1, 2)
    try:
        hull = float(ConvexHull(corners).volume)  # in two dimensions "volume" is the area
    except (QhullError, ValueError):
        return math.nan
    return min(1.0, float(mask.sum()) / hull)


def count_lobes(nucleus: np.ndarray) -> int:
    """Number of lobes of a bool mask: maxima of its distance map that narrows separate, detached parts included.

    A narrow separates if its half-width is below 0.65 of that of the smaller lobe; a lobe's own half-width must reach
    0.35 of the widest. So a band or a kidney counts as 1.
    """
    rows, columns = np.nonzero(nucleus)
    if len(rows) == 0:
        return 0
    window = np.pad(nucleus[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1], 2)
    width = ndimage.distance_transform_edt(window)
    width = np.where(window, np.maximum(ndimage.gaussian_filter(width, 0.01 * min(nucleus.shape)), 0.3), 0.0)
    # On a logarithmic scale the relative depth of a narrow is a height.
    relief = np.where(window, np.log(np.maximum(width, 0.3)), -5.0)
    peaks, count = ndimage.label(h_maxima(relief, -math.log(_NECK)), structure=np.ones((3, 3)))
    heights = ndimage.maximum(width, peaks, np.arange(1, count + 1))
    return int((np.atleast_1d(heights) >= _SMALLEST_LOBE * width.max()).sum())


def _texture(lightness: np.ndarray, region: np.ndarray, sigma: float) -> float:
    """Standard deviation of fine detail of `lightness` within `region`, its rim left out; NaN below 30 pixels."""
    inner = ndimage.binary_erosion(region, iterations=max(1, round(sigma)))
    if inner.sum() < 30:
        return math.nan
    # The mean of the region's own pixels only, so that its outline is no texture.
    weight = ndimage.gaussian_filter(region.astype(np.float32), sigma)
    smooth = ndimage.gaussian_filter(np.where(region, lightness, 0.0).astype(np.float32), sigma)
    return float((lightness - smooth / np.maximum(weight, 1e-3))[inner].std())


def _colour(part: str, lab: np.ndarray, region: np.ndarray) -> dict[str, float]:
    if not region.any():
        return {}
    mean = lab[region].mean(axis=0, dtype=np.float64)
    return {f"{part}_{axis}": float(value) for axis, value in zip("lab", mean, strict=True)}
