"""What measures, judges and numbers are called in pages and on cards."""

from __future__ import annotations

from syntheticcellgan.cell_types import resolve
from syntheticcellgan.evaluation.report.rows import ALL, Row

MEASURES = {
    "frechet_distance": "Fréchet distance",
    "relative_frechet_distance": "Fréchet distance over that of real against real cells, mean over the types",
    "kernel_distance": "Kernel distance",
    "precision": "Precision",
    "recall": "Recall",
    "density": "Density",
    "coverage": "Coverage",
    "vendi_score": "Vendi score",
    "near_duplicates": "Near duplicates among the synthetic images",
    "median_distance_to_nearest": "Median distance to the nearest other image",
    "copy_score": "Copy score (1: no nearer to training images than held-out cells)",
    "copies_beyond_doubt": "Copies of training images beyond doubt",
    "beyond_first_percentile": "Nearer to training than 99 % of real cells",
    "beyond_nearest_real": "Nearer to training than any real cell",
    "median_distance_to_training": "Median distance to the nearest training image",
    "balanced_accuracy": "Balanced accuracy",
    "macro_f1": "Macro-F1",
    "balanced_accuracy_ratio": "Balanced accuracy over that of training on real cells",
    "low_data_balanced_accuracy": "Balanced accuracy with few real cells",
    "low_data_macro_f1": "Macro-F1 with few real cells",
    "low_data_gain": "Gain of balanced accuracy over no augmentation",
    "low_data_gain_over_classic": "Gain of macro-F1 over classic augmentation",
    "auc": "Real-or-synthetic AUC of a machine (0.5: cannot tell; a proxy, no expert test)",
    "segmentation_failures": "Cells that cannot be outlined",
    "predictor_accuracy": "Accuracy of the attribute's predictor",
    "total_variation": "Total variation of an attribute's shares",
    "share": "Share of cells with the value",
    "cell_area": "Cell area (pixels)",
    "cell_area_um2": "Cell area (µm²)",
    "nucleus_area": "Nucleus area (pixels)",
    "nucleus_area_um2": "Nucleus area (µm²)",
    "nc_ratio": "N:C ratio",
    "cell_circularity": "Cell circularity",
    "nucleus_circularity": "Nucleus circularity",
    "nucleus_solidity": "Nucleus solidity",
    "lobes": "Nuclear lobes",
    "chromatin_texture": "Chromatin texture",
    "granularity": "Granularity",
    "look_blur": "Blur of nuclear outlines over that of real cells",
    "look_diameter": "Diameter of cells over that of real cells",
}
USES = {
    "augmentation": "Adding to real cells when a classifier is trained",
    "teaching": "Showing to students",
    "replacement": "Training a classifier without real cells",
    "sharing": "Passing on instead of real images",
}
ANSWERS = {"yes": "Yes", "with care": "With care", "no": "No", "unknown": "Not measured"}
_PARTS = {"nucleus": "Nucleus", "cytoplasm": "Cytoplasm", "background": "Background"}


def measure_title(measure: str) -> str:
    """For a reader: `nc_ratio` → “N:C ratio”."""
    if measure in MEASURES:
        return MEASURES[measure]
    if measure.startswith("colour_difference_"):
        return f"Colour difference of the {measure.removeprefix('colour_difference_')} (ΔE)"
    if measure.startswith("look_difference_"):
        part = measure.removeprefix("look_difference_").replace("_", " ")
        return f"Difference of look from real cells, {part} (CIEDE2000)"
    part, _, axis = measure.rpartition("_")
    if part in _PARTS and axis in "lab":
        return f"{_PARTS[part]} {axis.upper() if axis == 'l' else axis}*"
    return measure.replace("_", " ")


def plain(cell_type: str) -> str:
    """A cell type within a sentence: `promyelocyte_apl` → its title in small letters, unless it is an abbreviation."""
    title = resolve(cell_type).title
    return title if title[:2].isupper() else title[:1].lower() + title[1:]


def figure_title(row: Row) -> str:
    """One line that names a figure, for cards and summaries."""
    parts = [measure_title(row.measure)]
    if row.measure == "frechet_distance":
        parts = ["Fréchet distance over that of real against real cells"]
    if row.detail and row.section == "utility":
        learnt, _, tested = row.detail.partition(" → ")
        parts.append(f"trained on {learnt} cells, tested on {tested}" if tested else row.detail)
    if row.cell_type != ALL:
        parts.append(plain(row.cell_type))
    if row.by and row.section in ("distribution", "utility", "probe"):
        parts.append(row.by)
    return ", ".join(parts)


def shown(row: Row) -> tuple[float | None, float | None, float | None, float | None]:
    """(figure, low, high, floor) as tables show it: distances as their ratio to the floor."""
    if row.measure == "frechet_distance":
        return row.ratio, row.ratio_low, row.ratio_high, 1.0
    return row.value, row.low, row.high, row.floor


def percent(share: float | None) -> str:
    """0.873 → “87 %”; small shares with a decimal."""
    if share is None:
        return "–"
    value = 100 * share
    return f"{value:.0f} %" if abs(value) >= 10 or value == 0 else f"{value:.1f} %"


def number(value: float | None) -> str:
    """Three significant digits, no exponent for usual sizes."""
    if value is None:
        return "–"
    if value != 0 and (abs(value) >= 1e5 or abs(value) < 1e-3):
        return f"{value:.2e}"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def interval(low: float | None, high: float | None) -> str:
    """“0.81 – 0.84”, or a dash."""
    return "–" if low is None or high is None else f"{number(low)} – {number(high)}"
