"""What the figures mean for a reader who has to decide: verdicts per use, and warnings. All thresholds stand here.

Why each threshold is what it is: docs/explanation/verdicts.md. A verdict follows from the figures alone, never from a
look at the pictures, so the best that `teaching` and `sharing` can get is “with care”: an expert must look as well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from syntheticcellgan.evaluation.report.rows import ALL, Row, Section, find
from syntheticcellgan.evaluation.report.titles import percent, plain
from syntheticcellgan.evaluation.utility_results import HELD_OUT

Answer = Literal["yes", "with care", "no", "unknown"]

HARM = 0.98  # trained on both, a classifier must keep this share of what real cells alone teach it
REPLACE_YES, REPLACE_CARE = 0.95, 0.85  # trained on synthetic over trained on real
RECOGNISED = 0.70  # accuracy of a real-trained classifier on synthetic cells over that on real ones
RECOGNISED_TYPE = 0.50  # the same per type, below which a type fails
FAR, FAR_TYPE = 3.0, 3.0  # Fréchet distance over its floor
COLLAPSED = 0.70  # Vendi score over that of real cells
UNCOVERED = 0.50  # coverage over that of real cells
DUPLICATES = 3.0  # near duplicates over their expected share
COLOUR = 3.0  # ΔE of mean colours
UNSEGMENTED = 0.10  # more cells that cannot be segmented than among real ones
CERTAIN = 0.95  # area under the curve of the real-or-synthetic probe


@dataclass(frozen=True)
class Verdict:
    """use: augmentation, teaching, replacement or sharing. reasons: one sentence each, the deciding one first."""

    use: str
    answer: Answer
    reasons: tuple[str, ...]


def verdicts(rows: Sequence[Row], sections: Mapping[str, Section]) -> tuple[Verdict, ...]:
    """For augmentation, teaching, replacing real cells in training, and sharing instead of real images."""
    return _augmentation(rows, sections), _teaching(rows, sections), _replacement(rows, sections), _sharing(sections)


def _augmentation(rows: Sequence[Row], sections: Mapping[str, Section]) -> Verdict:
    both = find(rows, "balanced_accuracy_ratio", detail=f"both → {HELD_OUT}")
    if not both:
        return Verdict("augmentation", "unknown", _unmeasured(sections))
    reasons = [
        f"Trained on real and synthetic cells together, the {row.by.split(',')[0]} reaches {_interval(row)} of what it "
        f"reaches with real cells alone (n = {row.n})."
        for row in both
    ]
    if all(row.high is not None and row.high < HARM for row in both):
        return Verdict("augmentation", "no", ("Adding synthetic cells makes classifiers worse.", *reasons))
    gains = _gains(rows)
    if any(row.high is not None and row.high < HARM for row in both):
        first = "Adding synthetic cells makes one kind of classifier worse."
        return Verdict("augmentation", "with care", (first, *reasons, *gains))
    if gains:
        return Verdict("augmentation", "yes", (gains[0], *reasons, *gains[1:]))
    return Verdict("augmentation", "with care", ("Synthetic cells do no harm, but no benefit was shown.", *reasons))


def _unmeasured(sections: Mapping[str, Section]) -> tuple[str, ...]:
    """That there is no utility, and why: the first reason of those that its section gave."""
    refused = sections["utility"].refused.values() if "utility" in sections else ()
    return ("Utility was not measured.", *list(refused)[:1])


def _gains(rows: Sequence[Row]) -> list[str]:
    """Sentences for gains with few real cells that cannot be chance: over classic augmentation, where there is one."""
    beyond = find(rows, "low_data_gain_over_classic")
    judged = {row.by for row in beyond}
    over_nothing = [row for row in find(rows, "low_data_gain") if row.by not in judged and "classic" not in row.detail]
    sentences = []
    for row in (*beyond, *over_nothing):
        if row.low is None or row.low <= 0:
            continue
        size, _, arm = row.detail.partition(", augmentation: ")
        what = "synthetic cells" if arm == "synthetic" else "synthetic cells and classic augmentation"
        metric, base = ("macro-F1", " over classic augmentation") if row in beyond else ("balanced accuracy", "")
        sentences.append(
            f"With {size}, {what} raise the {metric} of the {row.by.split(',')[0]} by {100 * (row.value or 0):.1f} points"
            f"{base} (95 % interval {100 * row.low:+.1f} to {100 * (row.high or 0):+.1f}, n = {row.n})."
        )
    return sentences


def _teaching(rows: Sequence[Row], sections: Mapping[str, Section]) -> Verdict:
    against: list[str] = []
    others: list[str] = []
    seen = _recognised(rows)
    far = _headline(rows, "relative_frechet_distance")
    if seen is None and far is None:
        return Verdict("teaching", "unknown", ("Neither utility nor fidelity was measured.",))
    if _copied(sections):
        against.append("Copies of training images were found: patients' cells would be shown as synthetic ones.")
    if far is not None and far.value is not None:
        (against if (far.low or far.value) > FAR else others).append(
            f"Synthetic cells lie {far.value:.1f} times as far from real ones as real ones lie from each other (mean over "
            f"the types, {far.by}, n = {far.n} each or more)."
        )
    if seen is not None:
        row, ratio = seen
        (against if ratio < RECOGNISED else others).append(
            f"A classifier trained on real cells recognises {percent(row.value)} of the synthetic ones "
            f"({percent(row.floor)} of held-out real ones, n = {row.n})."
        )
    if against:
        return Verdict("teaching", "no", (*against, *others))
    failing = failing_types(rows)
    if failing:
        others.append(f"Leave out the types that fail: {', '.join(plain(name) for name in failing)}.")
    return Verdict(
        "teaching", "with care", ("An expert must look at the cells first: no figure replaces that.", *others)
    )


def _replacement(rows: Sequence[Row], sections: Mapping[str, Section]) -> Verdict:
    found = find(rows, "balanced_accuracy_ratio", detail=f"synthetic → {HELD_OUT}")
    known = sorted((row for row in found if row.value is not None), key=lambda row: row.value or 0.0)
    if not known:
        return Verdict("replacement", "unknown", _unmeasured(sections))
    reasons = tuple(
        f"Trained on synthetic cells only, the {row.by.split(',')[0]} reaches {_interval(row)} of what real cells teach it "
        f"(n = {row.n})."
        for row in known
    )
    worst = known[0]
    if worst.low is not None and worst.low >= REPLACE_YES:
        return Verdict("replacement", "yes", reasons)
    if worst.value is not None and worst.value >= REPLACE_CARE:
        return Verdict("replacement", "with care", reasons)
    return Verdict("replacement", "no", reasons)


def _sharing(sections: Mapping[str, Section]) -> Verdict:
    details = sections["copies"].details if "copies" in sections else {}
    if "copies_found" not in details:
        return Verdict("sharing", "unknown", ("Copies were not looked for: no training images or fingerprints.",))
    if details["copies_found"]:
        return Verdict("sharing", "no", (details["sentence"],))
    return Verdict(
        "sharing", "with care", (details["sentence"], "No measure proves that no patient's cell shines through.")
    )


def failing_types(rows: Sequence[Row]) -> list[str]:
    """Types that lie far from real cells, or that a classifier trained on real cells does not recognise."""
    failing = set()
    for row in _of_headline(rows, "frechet_distance"):
        if row.cell_type != ALL and row.ratio_low is not None and row.ratio_low > FAR_TYPE:
            failing.add(row.cell_type)
    by_type: dict[str, list[float]] = {}
    for row in find(rows, "recall", cell_type=None, detail="real → synthetic"):
        if row.high is not None and row.floor:
            by_type.setdefault(row.cell_type, []).append(row.high / row.floor)
    failing |= {name for name, ratios in by_type.items() if max(ratios) < RECOGNISED_TYPE}
    return sorted(failing)


def warnings_of(rows: Sequence[Row], sections: Mapping[str, Section]) -> list[dict[str, str]]:
    """What a reader must not overlook, each with `kind` and `sentence`."""
    found: dict[str, Iterable[str]] = {
        "copies": [sections["copies"].details["sentence"]] if _copied(sections) else [],
        "collapse": _lost_variety(rows),
        "colour": _shifted_colours(rows),
        "types": (*_without_a_cell(rows), *(_why_failing(name, rows) for name in failing_types(rows))),
        "traces": _traces(rows),
    }
    return [{"kind": kind, "sentence": sentence} for kind, sentences in found.items() for sentence in sentences]


def _lost_variety(rows: Sequence[Row]) -> Iterator[str]:
    narrow = [
        row for row in _of_headline(rows, "vendi_score") if row.ratio_high is not None and row.ratio_high < COLLAPSED
    ]
    if narrow:
        each = _each(narrow, lambda row: f"{row.value:.1f} instead of {row.floor:.1f}")
        yield f"Synthetic cells vary less than real ones, in effectively different images: {each}."
    bare = [row for row in _of_headline(rows, "coverage") if _below(row, UNCOVERED)]
    if bare:
        each = _each(bare, lambda row: f"{percent(row.value)} ({percent(row.floor)})")
        yield f"Synthetic cells cover only a part of what real ones look like (in brackets, what real ones cover): {each}."
    for row in _of_headline(rows, "recall"):
        if row.cell_type == ALL and _below(row, UNCOVERED):
            yield (
                f"Only {percent(row.value)} of the real cells lie among the synthetic ones ({percent(row.floor)} "
                f"among other real ones; recall, n = {row.n})."
            )
    for row in find(rows, "near_duplicates"):
        if row.low is not None and row.floor and row.low > DUPLICATES * row.floor:
            yield (
                f"{percent(row.value)} of the synthetic images are nearly the same as another one "
                f"({percent(row.floor)} expected, n = {row.n})."
            )


def _below(row: Row, share: float) -> bool:
    """Whether even the upper bound lies below this share of the floor."""
    return row.high is not None and row.floor is not None and row.floor > 0 and row.high / row.floor < share


def _shifted_colours(rows: Sequence[Row]) -> Iterator[str]:
    for part in ("background", "cytoplasm", "nucleus"):
        for row in find(rows, f"colour_difference_{part}"):
            if row.low is not None and row.low > COLOUR and row.low > (row.floor_high or 0.0):
                yield (
                    f"The mean colour of the {part} is shifted by ΔE {row.value:.1f} (real against real "
                    f"{row.floor:.1f}, n = {row.n})."
                )


def _without_a_cell(rows: Sequence[Row]) -> Iterator[str]:
    for row in find(rows, "segmentation_failures", cell_type=None):
        if row.low is not None and row.low > (row.floor or 0.0) + UNSEGMENTED:
            yield (
                f"{percent(row.value)} of the synthetic images of {plain(row.cell_type)} show no cell that can be "
                f"outlined ({percent(row.floor)} of the real ones, n = {row.n})."
            )


def _traces(rows: Sequence[Row]) -> Iterator[str]:
    for row in _of_headline(rows, "auc"):
        if row.low is not None and row.low > CERTAIN:
            yield (
                f"A machine tells synthetic from real images with an AUC of {row.value:.3f} (n = {row.n}): a classifier "
                "trained on a mixture may learn the traces instead of the cells. Give every type both kinds of image."
            )


def headline(rows: Sequence[Row]) -> list[Row]:
    """The few figures for a card or a summary."""
    chosen: list[Row] = []
    for trained_on in ("real", "synthetic"):
        chosen += find(rows, "balanced_accuracy", detail=f"{trained_on} → {HELD_OUT}")
    chosen += find(rows, "balanced_accuracy_ratio", detail=f"synthetic → {HELD_OUT}")
    chosen += find(rows, "balanced_accuracy_ratio", detail=f"both → {HELD_OUT}")
    chosen += _of_headline(rows, "relative_frechet_distance")
    chosen += [row for row in _of_headline(rows, "frechet_distance") if row.cell_type != ALL]
    for measure in ("precision", "recall", "coverage"):
        chosen += [row for row in _of_headline(rows, measure) if row.cell_type == ALL]
    chosen += [row for row in rows if row.measure.startswith("look_difference_") and row.detail == "synthetic"]
    chosen += _of_headline(rows, "auc") + find(rows, "copies_beyond_doubt") + find(rows, "near_duplicates")
    return chosen


def _of_headline(rows: Sequence[Row], measure: str) -> list[Row]:
    """The rows of a measure of features by the first extractor."""
    found = [row for row in find(rows, measure, cell_type=None) if row.section in ("distribution", "probe")]
    return [row for row in found if row.by == found[0].by]


def _headline(rows: Sequence[Row], measure: str) -> Row | None:
    return next((row for row in _of_headline(rows, measure) if row.cell_type == ALL), None)


def _recognised(rows: Sequence[Row]) -> tuple[Row, float] | None:
    """The classifier that knows real cells best, tested on synthetic ones, with its accuracy over that on real ones."""
    found = [row for row in find(rows, "balanced_accuracy", detail="real → synthetic") if row.floor]
    best = max(found, key=lambda row: row.floor or 0.0, default=None)
    return None if best is None else (best, (best.value or 0.0) / (best.floor or 1.0))


def _copied(sections: Mapping[str, Section]) -> bool:
    return "copies" in sections and bool(sections["copies"].details.get("copies_found"))


def _why_failing(name: str, rows: Sequence[Row]) -> str:
    distance = next((row for row in _of_headline(rows, "frechet_distance") if row.cell_type == name), None)
    parts = []
    if distance is not None and distance.ratio is not None:
        parts.append(f"{distance.ratio:.1f} times as far from real cells as those from each other (n = {distance.n})")
    recalls = find(rows, "recall", cell_type=name, detail="real → synthetic")
    if recalls:
        best = max(recalls, key=lambda row: row.value or 0.0)
        parts.append(f"{percent(best.value)} recognised ({percent(best.floor)} of real ones, n = {best.n})")
    return f"The type {plain(name)} fails: {'; '.join(parts)}."


def _each(rows: Sequence[Row], words: Callable[[Row], str]) -> str:
    """“all types 10.0 instead of 39.4 (n = 120), eosinophil …”."""
    return ", ".join(
        f"{'all types' if row.cell_type == ALL else plain(row.cell_type)} {words(row)} (n = {row.n})" for row in rows
    )


def _interval(row: Row) -> str:
    if row.value is None:
        return "nothing"
    return f"{percent(row.value)} (95 % interval {percent(row.low)} to {percent(row.high)})"
