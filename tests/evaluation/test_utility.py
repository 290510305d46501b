from __future__ import annotations

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from sklearn.metrics import balanced_accuracy_score, f1_score, recall_score

from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.answers import assess
from syntheticcellgan.evaluation.classifiers import ConvNet, Labelled, LinearProbe, _augment, _network, _to_tensor
from syntheticcellgan.evaluation.utility import measure_utility
from syntheticcellgan.evaluation.utility_results import HELD_OUT, QUICK, STANDARD, UtilitySettings

TYPES = ("basophil", "lymphocyte", "monocyte")
COLOURS = np.array([[60, 30, 110], [130, 110, 200], [190, 150, 170]])
TINY = UtilitySettings(seeds=2, low_data=(5, 500), low_data_seeds=2, low_data_effort=0.2, draws=60)


def cells(per_type: int, seed: int, *, shuffled: bool = False, types: tuple[str, ...] = TYPES) -> Labelled:
    """Discs whose colour tells the type, and features whose first columns do; `shuffled` labels tell nothing."""
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(len(types)), per_type)
    rows, columns = np.mgrid[:64, :64] - 31.5
    images = np.empty((len(codes), 64, 64, 3))
    images[:] = (250, 229, 203)
    for i, k in enumerate(codes):
        images[i, rows**2 + columns**2 < rng.uniform(12, 22) ** 2] = COLOURS[k]
    images += rng.normal(0, 8, images.shape)
    features = rng.normal(size=(len(codes), 8))
    features[np.arange(len(codes)), codes] += 5.0
    labels = rng.permutation(codes) if shuffled else codes
    return Labelled(np.clip(images, 0, 255).astype(np.uint8), features, tuple(types[k] for k in labels))


def test_separable_types_are_learnt_from_either_side() -> None:
    report = measure_utility(
        cells(30, 0),
        cells(30, 1),
        cells(30, 2),
        classifiers=[LinearProbe(), ConvNet(steps=30, batch=12)],
        settings=TINY,
    )
    assert report.types == TYPES
    for kind in ("linear probe", "small network"):
        for arm in ("real", "synthetic", "both"):
            assert report.score(kind, arm).balanced_accuracy.value > 0.93, (kind, arm)
        assert report.score(kind, "real", "synthetic").balanced_accuracy.value > 0.93
    for ratio in report.ratios:
        assert ratio.ratio.low <= 1.05
        assert ratio.ratio.high >= 0.93
    assert report.left_out == {"low-data, 500 per type": "not all types have that many real cells to train on"}
    arms = {(point.classifier, point.arm) for point in report.low_data}
    assert ("small network", "both") in arms
    assert ("linear probe", "classic") not in arms
    assert json.loads(json.dumps(asdict(report)))["types"] == list(TYPES)


def test_low_data_points_say_what_synthetic_cells_add_to_classic_augmentation() -> None:
    report = measure_utility(
        cells(12, 0),
        cells(30, 1),
        cells(30, 2),
        classifiers=[ConvNet(steps=20, batch=12), LinearProbe()],
        settings=replace(TINY, seeds=1, low_data=(5,)),
    )
    found = {arm: report.point("small network", 5, arm) for arm in ("none", "classic", "synthetic", "both")}
    for arm in ("none", "classic"):
        assert found[arm].gain_over_classic is None
    for arm in ("synthetic", "both"):
        gain = found[arm].gain_over_classic
        assert gain.value == pytest.approx(found[arm].macro_f1.value - found["classic"].macro_f1.value)
        assert gain.low <= gain.value <= gain.high
        assert found[arm].macro_f1.low <= found[arm].macro_f1.value <= found[arm].macro_f1.high
    assert report.point("linear probe", 5, "synthetic").gain_over_classic is None  # it has no classic arm
    with pytest.raises(KeyError):
        report.point("linear probe", 5, "classic")


def test_the_standard_protocol_has_five_seeds_everywhere() -> None:
    assert min(STANDARD.seeds, STANDARD.low_data_seeds) >= 5
    assert STANDARD.low_data == (10, 25, 50, 100)


def test_shuffled_synthetic_labels_give_chance() -> None:
    report = measure_utility(
        cells(60, 0), cells(60, 1), cells(60, 2, shuffled=True), classifiers=[LinearProbe()], settings=TINY
    )
    assert report.score("linear probe", "real").balanced_accuracy.low > 0.93
    chance = report.score("linear probe", "synthetic").balanced_accuracy
    assert chance.value == pytest.approx(1 / 3, abs=0.25)
    assert report.score("linear probe", "real", "synthetic").balanced_accuracy.value == pytest.approx(1 / 3, abs=0.12)
    ratio = next(row for row in report.ratios if row.trained_on == "synthetic")
    assert ratio.ratio.high < 0.8


def test_network_learns_nothing_from_shuffled_labels() -> None:
    predict = ConvNet(steps=20, batch=24).fit([cells(40, 0, shuffled=True)], TYPES, 0, augment=True)
    test = cells(40, 1)
    assert np.mean(predict(test) == test.codes(TYPES)) < 0.75


def test_other_laboratories_are_matched_by_type() -> None:
    other = cells(20, 3)
    two = other.of_types(["lymphocyte", "monocyte"])
    renamed = replace(two, labels=tuple("plasma_cell" if name == "monocyte" else name for name in two.labels))
    report = measure_utility(
        cells(30, 0),
        cells(30, 1),
        cells(30, 2),
        other_laboratories={"Leipzig": two, "Bangkok": renamed},
        classifiers=[LinearProbe()],
        settings=replace(TINY, low_data=()),
    )
    score = report.score("linear probe", "real", "Leipzig")
    assert score.n_test == 40
    assert set(score.recall) == {"lymphocyte", "monocyte"}
    assert score.confusion[0] == (0.0, 0.0, 0.0)
    assert sum(map(sum, score.confusion)) == pytest.approx(40)
    assert "Bangkok" in report.left_out  # one known type is no test
    assert not report.low_data


def test_types_with_too_few_cells_are_left_out_and_named() -> None:
    few = cells(30, 2)
    few = few.select(np.arange(65))  # five monocytes are left
    report = measure_utility(
        cells(30, 0), cells(30, 1), few, classifiers=[LinearProbe()], settings=replace(TINY, low_data=())
    )
    assert report.types == ("basophil", "lymphocyte")
    assert report.left_out["monocyte"] == "5 synthetic, 10 needed"
    with pytest.raises(InputError, match="two types"):
        measure_utility(cells(30, 0), cells(30, 1), few.of_types(["basophil"]), settings=TINY)


def test_metrics_against_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 300)
    answers = np.stack([np.where(rng.random(300) < p, truth, rng.integers(0, 4, 300)) for p in (0.5, 0.7, 0.9)])
    found = assess(truth, answers, 4, 400, 0)
    rows = list(answers)
    assert found.values["balanced_accuracy"] == pytest.approx(
        np.mean([balanced_accuracy_score(truth, a) for a in rows])
    )
    assert found.values["macro_f1"] == pytest.approx(np.mean([f1_score(truth, a, average="macro") for a in rows]))
    assert found.values["recall"] == pytest.approx(
        np.mean([recall_score(truth, a, average=None) for a in rows], axis=0)
    )
    interval = found.interval("balanced_accuracy")
    # Three seeds of 0.6 to 0.9 differ by more than 300 images can: the interval must hold both kinds of chance.
    assert interval.high - interval.low > 0.15
    single = assess(truth, answers[1:2], 4, 400, 0).interval("balanced_accuracy")
    assert 0.04 < single.high - single.low < 0.14


def test_pairing_cancels_what_both_share() -> None:
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 200)
    answers = np.stack([np.where(rng.random(200) < 0.6, truth, (truth + 1) % 3) for _ in range(4)])
    a, b = (assess(truth, answers, 3, 200, seed=5) for _ in range(2))
    assert (a.ratio(b).low, a.ratio(b).high) == (1.0, 1.0)
    assert (a.gain(b).low, a.gain(b).high) == (0.0, 0.0)


def test_parts_and_types_weigh_the_same() -> None:
    # 9 real cells against 600 synthetic ones with all labels turned: equal weights leave the probe undecided, where
    # equal cells would make it all wrong.
    real, turned = cells(3, 0), cells(200, 1)
    following = dict(zip(TYPES, (*TYPES[1:], TYPES[0]), strict=True))
    turned = replace(turned, labels=tuple(following[name] for name in turned.labels))
    test = cells(50, 2)
    wrong = LinearProbe().fit([turned], TYPES, 0, augment=False)(test)
    assert np.mean(wrong == test.codes(TYPES)) < 0.1
    mixed = LinearProbe().fit([real, turned], TYPES, 0, augment=False)(test)
    assert np.mean(mixed == test.codes(TYPES)) > 0.2


def test_same_seed_same_answers_and_global_state_untouched() -> None:
    train, test = cells(10, 0), cells(10, 1)
    before = torch.random.get_rng_state()
    first, second, third = (
        ConvNet(steps=4, batch=8).fit([train], TYPES, seed, augment=True)(test) for seed in (3, 3, 4)
    )
    assert (first == second).all()
    assert third.shape == first.shape
    assert torch.equal(before, torch.random.get_rng_state())


def test_network_is_small_and_without_batch_norm() -> None:
    network = _network(10, 0)
    assert sum(p.numel() for p in network.parameters()) < 300_000
    assert not any(isinstance(module, torch.nn.BatchNorm2d) for module in network)


def test_augmentation_keeps_form_and_range() -> None:
    images = cells(5, 0).images
    plain, varied = _to_tensor(images), _augment(images, np.random.default_rng(0))
    assert varied.shape == plain.shape
    assert varied.dtype == torch.float32
    assert float(varied.min()) >= -2.0
    assert float(varied.max()) <= 2.0
    assert not torch.equal(plain, varied)
    # Flips, turns and small shifts of a centred disc move it little; colour changes little.
    assert float((plain - varied).abs().mean()) < 0.5


def test_wrong_sets_are_refused() -> None:
    good = cells(3, 0)
    with pytest.raises(InputError, match="need images"):
        Labelled(good.images[:, :32], good.features, good.labels)
    with pytest.raises(InputError, match="need features"):
        Labelled(good.images, good.features[:2], good.labels)
    broken = good.features.copy()
    broken[0, 0] = np.inf
    with pytest.raises(InputError, match="NaN or infinite"):
        Labelled(good.images, broken, good.labels)
    with pytest.raises(InputError, match="not among the types"):
        good.codes(("basophil",))
    with pytest.raises(InputError, match="at least one seed"):
        UtilitySettings(seeds=0)
    with pytest.raises(InputError, match="another name"):
        measure_utility(cells(10, 0), cells(10, 1), cells(10, 2), other_laboratories={HELD_OUT: good}, settings=QUICK)


def test_progress_counts_every_fit() -> None:
    told: list[tuple[int, int]] = []
    measure_utility(
        cells(12, 0),
        cells(12, 1),
        cells(12, 2),
        classifiers=[LinearProbe()],
        settings=TINY,
        progress=lambda done, total, what: told.append((done, total)),
    )
    assert told == [(i, 10) for i in range(1, 11)]  # 3 sets × 2 seeds, 1 size × 2 arms × 2 seeds
