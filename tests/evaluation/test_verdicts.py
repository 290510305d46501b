"""Verdicts and warnings follow from figures alone: each rule is met and missed once."""

from __future__ import annotations

import pytest

from syntheticcellgan.evaluation.report.rows import Row, Section
from syntheticcellgan.evaluation.verdicts import failing_types, headline, verdicts, warnings_of

CLEAN = {"copies": Section(details={"copies_found": False, "sentence": "No sign of copying."})}
COPIED = {"copies": Section(details={"copies_found": True, "sentence": "Copies were found."})}


def utility(measure: str, detail: str, value: float, low: float, high: float, floor: float = 1.0, **more) -> Row:
    row = {"by": "small network", "n": 500, "better": "higher"} | more
    return Row("utility", measure, detail=detail, value=value, low=low, high=high, floor=floor, **row)


def distance(ratio: float, low: float, cell_type: str) -> Row:
    figures = {"ratio": ratio, "ratio_low": low, "ratio_high": 2 * ratio - low, "value": ratio, "floor": 1.0, "n": 80}
    return Row("distribution", "frechet_distance", cell_type, "vit-s-focus", **figures)


def mean(value: float, low: float, by: str = "vit-s-focus") -> Row:
    figures = {"value": value, "low": low, "high": 2 * value - low, "floor": 1.0, "n": 80, "better": "lower"}
    return Row("distribution", "relative_frechet_distance", by=by, **figures)


BOTH, ALONE = "both → held-out real", "synthetic → held-out real"
NO_HARM = utility("balanced_accuracy_ratio", BOTH, 1.01, 0.99, 1.03)
HARM = utility("balanced_accuracy_ratio", BOTH, 0.90, 0.85, 0.95)
GAIN = utility("low_data_gain_over_classic", "25 real per type, augmentation: both", 0.12, 0.08, 0.16, 0.0)
NO_GAIN = utility("low_data_gain_over_classic", "25 real per type, augmentation: both", 0.02, -0.01, 0.05, 0.0)
OVER_NOTHING = utility("low_data_gain", "25 real per type, augmentation: both", 0.12, 0.08, 0.16, 0.0)
PROBE = utility("low_data_gain", "25 real per type, augmentation: synthetic", 0.12, 0.08, 0.16, 0.0, by="linear probe")
SEEN = utility("balanced_accuracy", "real → synthetic", 0.85, 0.8, 0.9, 0.9)
UNSEEN = utility("balanced_accuracy", "real → synthetic", 0.4, 0.3, 0.5, 0.9)


@pytest.mark.parametrize(
    ("use", "rows", "sections", "answer"),
    [
        ("augmentation", [NO_HARM, GAIN], CLEAN, "yes"),
        ("augmentation", [NO_HARM, NO_GAIN, OVER_NOTHING, PROBE], CLEAN, "yes"),
        (
            "augmentation",
            [NO_HARM, NO_GAIN, OVER_NOTHING],
            CLEAN,
            "with care",
        ),  # no more than classic augmentation brings
        ("augmentation", [HARM, GAIN], CLEAN, "no"),
        (
            "augmentation",
            [NO_HARM, utility("balanced_accuracy_ratio", BOTH, 0.9, 0.85, 0.95, by="x")],
            CLEAN,
            "with care",
        ),
        ("augmentation", [], CLEAN, "unknown"),
        ("teaching", [SEEN, mean(1.5, 1.2)], CLEAN, "with care"),
        ("teaching", [SEEN, mean(4.0, 3.5)], CLEAN, "no"),
        ("teaching", [UNSEEN, mean(1.5, 1.2)], CLEAN, "no"),
        ("teaching", [SEEN, mean(1.5, 1.2)], COPIED, "no"),
        ("teaching", [], CLEAN, "unknown"),
        ("replacement", [utility("balanced_accuracy_ratio", ALONE, 0.98, 0.96, 1.0)], CLEAN, "yes"),
        ("replacement", [utility("balanced_accuracy_ratio", ALONE, 0.90, 0.86, 0.94)], CLEAN, "with care"),
        ("replacement", [utility("balanced_accuracy_ratio", ALONE, 0.70, 0.65, 0.75)], CLEAN, "no"),
        ("replacement", [], CLEAN, "unknown"),
        ("sharing", [], CLEAN, "with care"),
        ("sharing", [], COPIED, "no"),
        ("sharing", [], {}, "unknown"),
    ],
)
def test_verdict(use, rows, sections, answer):
    (verdict,) = (one for one in verdicts(rows, sections) if one.use == use)
    assert verdict.answer == answer
    assert verdict.reasons
    assert all(reason.endswith(".") for reason in verdict.reasons)


def test_a_type_fails_by_distance_or_when_nobody_recognises_it():
    recall = {"floor": 0.9, "by": "small network"}
    rows = [
        mean(1.2, 1.0),
        distance(5.0, 4.0, "monocyte"),
        distance(3.5, 2.5, "basophil"),
        utility("recall", "real → synthetic", 0.2, 0.1, 0.3, cell_type="platelet", **recall),
        utility("recall", "real → synthetic", 0.8, 0.7, 0.9, cell_type="neutrophil", **recall),
    ]
    assert failing_types(rows) == ["monocyte", "platelet"]
    assert "monocyte, platelet" in " ".join(verdicts([*rows, SEEN], CLEAN)[1].reasons)


@pytest.mark.parametrize(
    ("row", "kind"),
    [
        (Row("distribution", "vendi_score", value=4, floor=20, ratio=0.2, ratio_high=0.3, n=80, by="a"), "collapse"),
        (Row("distribution", "coverage", value=0.2, high=0.3, floor=0.9, n=80, by="a"), "collapse"),
        (Row("distribution", "recall", value=0.2, high=0.3, floor=0.9, n=80, by="a"), "collapse"),
        (Row("duplicates", "near_duplicates", value=0.1, low=0.06, high=0.2, floor=0.01, n=200), "collapse"),
        (
            Row("morphology", "colour_difference_background", value=9, low=8, high=10, floor_high=0.5, floor=0.3),
            "colour",
        ),
        (Row("morphology", "segmentation_failures", "monocyte", value=0.4, low=0.3, high=0.5, floor=0.02), "types"),
        (Row("probe", "auc", value=0.99, low=0.98, high=1, floor=0.5, n=200, by="a"), "traces"),
    ],
)
def test_warning(row, kind):
    assert [warning["kind"] for warning in warnings_of([row], CLEAN)] == [kind]
    harmless = Row(
        row.section, row.measure, row.cell_type, row.by, value=row.floor, low=0, high=1, ratio_high=1, floor=row.floor
    )
    assert warnings_of([harmless], CLEAN) == []


def test_copies_are_warned_of():
    assert warnings_of([], COPIED) == [{"kind": "copies", "sentence": "Copies were found."}]


def test_the_headline_judge_decides_where_judges_differ():
    other = mean(9.0, 8.0, by="vgg16-hed")
    rows = [mean(1.5, 1.2), other, SEEN]
    assert verdicts(rows, CLEAN)[1].answer == "with care"
    assert other not in headline(rows)


def test_what_was_not_measured_says_why():
    sections = {**CLEAN, "utility": Section(refused={"utility": "Each type needs 30 real cells or more."})}
    for verdict in verdicts([], sections):
        if verdict.use in ("augmentation", "replacement"):
            assert verdict.reasons == ("Utility was not measured.", "Each type needs 30 real cells or more.")
