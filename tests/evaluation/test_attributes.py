from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from syntheticcellgan.data.attribute_table import read_attributes
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.attributes import (
    AttributePredictors,
    compare_attributes,
    fit_attributes,
    total_variation,
)

SHAPES = ("band", "lobed", "round")


def cells(n: int, seed: int, chances: tuple[float, ...] = (0.5, 0.3, 0.2)) -> tuple[np.ndarray, list[dict[str, str]]]:
    """Features of which the first three tell the nucleus_shape and none the chromatin."""
    rng = np.random.default_rng(seed)
    shape = rng.choice(3, size=n, p=chances)
    features = rng.normal(size=(n, 10))
    features[np.arange(n), shape] += 6.0
    chromatin = rng.choice(["dense", "loose"], size=n)
    return features, [{"nucleus_shape": SHAPES[k], "chromatin": str(c)} for k, c in zip(shape, chromatin, strict=True)]


@pytest.fixture(scope="module")
def predictors() -> AttributePredictors:
    return fit_attributes(*cells(600, 0))


def test_accuracy_is_held_out_and_honest(predictors: AttributePredictors) -> None:
    shape = next(score for score in predictors.scores if score.attribute == "nucleus_shape")
    chance = next(score for score in predictors.scores if score.attribute == "chromatin")
    assert shape.values == SHAPES
    assert shape.n_train + shape.n_test == 600
    assert shape.accuracy.low > 0.93
    assert shape.balanced_accuracy.value > 0.95
    assert shape.majority == pytest.approx(0.5, abs=0.06)
    # What features do not tell is not predicted: held out, not trained on, so no better than guessing.
    assert chance.balanced_accuracy.low < 0.5 < chance.balanced_accuracy.high
    json.dumps(predictors.as_dict())


def test_shares_of_real_and_synthetic(predictors: AttributePredictors) -> None:
    real, _ = cells(400, 1)
    same, _ = cells(400, 2)
    other, _ = cells(400, 3, (0.1, 0.1, 0.8))
    types = ["neutrophil"] * 400
    alike = compare_attributes(predictors, real, types, same, types)
    rows = {(row.attribute, row.value): row for row in alike}
    assert rows["nucleus_shape", "band"].real.value == pytest.approx(0.5, abs=0.08)
    assert not rows["nucleus_shape", "band"].differs
    assert sum(rows["nucleus_shape", value].synthetic.value for value in SHAPES) == pytest.approx(1.0)
    apart = {(row.attribute, row.value): row for row in compare_attributes(predictors, real, types, other, types)}
    assert apart["nucleus_shape", "round"].differs
    assert apart["nucleus_shape", "round"].synthetic.value == pytest.approx(0.8, abs=0.06)
    assert apart["nucleus_shape", "round"].synthetic.low < 0.8 < apart["nucleus_shape", "round"].synthetic.high
    assert total_variation(alike)["neutrophil", "nucleus_shape"] < 0.1
    distance = total_variation(list(apart.values()))["neutrophil", "nucleus_shape"]
    assert distance == pytest.approx(0.6, abs=0.08)


def test_only_types_on_both_sides_are_compared(predictors: AttributePredictors) -> None:
    features, _ = cells(20, 4)
    rows = compare_attributes(
        predictors, features, ["monocyte"] * 10 + ["basophil"] * 10, features, ["monocyte"] * 5 + ["eosinophil"] * 15
    )
    assert {row.cell_type for row in rows} == {"monocyte"}
    assert {(row.n_real, row.n_synthetic) for row in rows} == {(10, 5)}
    with pytest.raises(InputError, match="no type in common"):
        compare_attributes(predictors, features, ["monocyte"] * 20, features, ["basophil"] * 20)
    with pytest.raises(InputError, match="one cell type per row"):
        compare_attributes(predictors, features, ["monocyte"], features, ["monocyte"])


def test_attributes_with_too_few_cells_are_left_out_with_the_reason() -> None:
    features, attributes = cells(300, 5)
    for i, cell in enumerate(attributes):
        cell["vacuoles"] = "no" if i else "yes"  # one value is that of a single cell
        if i < 50:
            cell["granules"] = "fine" if i % 2 else "coarse"
    found = fit_attributes(features, attributes)
    assert set(found.left_out) == {"vacuoles", "granules"}
    assert "50 cells" in found.left_out["granules"]
    assert {score.attribute for score in found.scores} == {"nucleus_shape", "chromatin"}
    with pytest.raises(InputError, match="no attribute has"):
        fit_attributes(features[:20], attributes[:20])


def test_wrong_features_are_refused() -> None:
    features, attributes = cells(200, 6)
    with pytest.raises(InputError, match="attributes of 199"):
        fit_attributes(features, attributes[:199])
    features[3, 3] = np.nan
    with pytest.raises(InputError, match="NaN"):
        fit_attributes(features, attributes)


def test_predicting_nothing_gives_nothing(predictors: AttributePredictors) -> None:
    assert len(predictors.predict(np.empty((0, 10)))["nucleus_shape"]) == 0


def test_table_is_matched_by_file_name(tmp_path: Path) -> None:
    table = tmp_path / "attributes.csv"
    table.write_text(
        "img_name,label,cell_size,nucleus_shape\nfolder/BNE_1.jpg,Neutrophil,big,band\nMO_2.jpg,Monocyte,,indented\n"
    )
    assert read_attributes(table) == {
        "BNE_1.jpg": {"cell_size": "big", "nucleus_shape": "band"},
        "MO_2.jpg": {"nucleus_shape": "indented"},
    }
    table.write_text("name,cell_size\nBNE_1.jpg,big\n")
    with pytest.raises(InputError, match="img_name"):
        read_attributes(table)
    with pytest.raises(InputError, match=r"none\.csv"):
        read_attributes(tmp_path / "none.csv")
