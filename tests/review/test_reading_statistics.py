"""The statistics against worked examples that were published elsewhere."""

from __future__ import annotations

import math

import numpy as np
import pytest

from syntheticcellgan.errors import InputError
from syntheticcellgan.review import statistics as s


@pytest.mark.parametrize(
    ("count", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_as_in_newcombe_1998_table_1(count, n, low, high):
    found = s.share(count, n)
    assert found.low == pytest.approx(low, abs=5e-5)
    assert found.high == pytest.approx(high, abs=5e-5)


@pytest.mark.parametrize(
    ("counts", "low", "high"),
    [((56, 70, 48, 80), 0.0524, 0.3339), ((9, 10, 3, 10), 0.1705, 0.8090), ((6, 7, 2, 7), 0.0582, 0.8062)],
)
def test_difference_as_in_newcombe_1998_method_10(counts, low, high):
    found = s.share_difference(*counts)
    assert (found.low, found.high) == pytest.approx((low, high), abs=5e-5)


def test_d_prime_of_the_textbook():
    # Stanislaw & Todorov 1999: 20 hits in 25, 10 false alarms in 25, d′ = 1.095. The log-linear rule (Hautus 1995)
    # adds half a judgement: Φ⁻¹(20.5/26) − Φ⁻¹(10.5/26); with ever more judgements it comes to the textbook's value.
    assert s.discrimination(20, 25, 10, 25).value == pytest.approx(0.8006 + 0.2439, abs=5e-4)
    assert s.discrimination(80_000, 100_000, 40_000, 100_000).value == pytest.approx(1.095, abs=5e-4)
    assert s.discrimination(5, 10, 5, 10).value == pytest.approx(0.0)
    assert math.isfinite(s.discrimination(10, 10, 0, 10).value), "perfect readers stay finite"


def test_the_interval_of_d_prime_covers_as_often_as_it_says():
    rng = np.random.default_rng(1)
    covered = 0
    for _ in range(400):
        hits, false_alarms = rng.binomial(200, 0.8413), rng.binomial(200, 0.5)  # d′ = 1
        found = s.discrimination(int(hits), 200, int(false_alarms), 200)
        covered += found.low <= 1.0 <= found.high
    assert 0.92 <= covered / 400 <= 0.98


def test_cohen_as_in_the_sas_manual():
    # PROC FREQ, two dermatologists and 88 patients: kappa 0.3449, 95 % 0.2030 to 0.4868.
    table = np.array([[10, 4, 1, 0], [5, 10, 12, 2], [2, 4, 12, 5], [0, 2, 6, 13]])
    found = s.cohen(table)
    assert (found.value, found.low, found.high) == pytest.approx((0.3449, 0.2030, 0.4868), abs=5e-5)
    assert found.n == 88


@pytest.mark.parametrize(
    ("table", "kappa"),
    [([[20, 5], [10, 15]], 0.4), ([[45, 15], [25, 15]], 0.1304), ([[25, 35], [5, 35]], 0.2593)],
)
def test_cohen_of_two_by_two_tables(table, kappa):
    assert s.cohen(np.array(table)).value == pytest.approx(kappa, abs=5e-5)


def test_cohen_where_nothing_can_be_said():
    assert math.isnan(s.cohen(np.array([[10, 0], [0, 0]])).value), "both always say the same word"
    assert math.isnan(s.cohen(np.zeros((2, 2))).value)
    complete = s.cohen(np.array([[5, 0], [0, 3]]))
    assert complete.value == 1
    assert math.isnan(complete.low), "eight cells judged alike are no proof of complete agreement"


FLEISS = [  # 10 subjects, 14 raters, 5 categories: kappa 0.210
    [0, 0, 0, 0, 14],
    [0, 2, 6, 4, 2],
    [0, 0, 3, 5, 6],
    [0, 3, 9, 2, 0],
    [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0],
    [3, 2, 6, 3, 0],
    [2, 5, 3, 2, 2],
    [6, 5, 2, 1, 0],
    [0, 2, 2, 3, 7],
]


def test_fleiss_of_the_worked_example():
    found = s.fleiss(np.array(FLEISS))
    assert found.value == pytest.approx(0.210, abs=5e-4)
    assert found.low < found.value < found.high
    assert found.n == 10


def test_the_bootstrap_of_fleiss_uses_the_same_kappa():
    ratings = np.array(FLEISS)
    assert s._fleiss_of(ratings[None])[0] == pytest.approx(s.fleiss(ratings).value, abs=1e-12)


def test_equivalence_is_shown_by_860_judgements_within_5_points_and_215_within_10():
    assert s.equivalence(430, 860, 0.05).equivalent
    assert s.equivalence(108, 215, 0.10).equivalent
    assert not s.equivalence(100, 200, 0.05).equivalent, "too few"
    assert not s.equivalence(520, 860, 0.05).equivalent, "60 % is no chance"


def test_equivalence_is_wrong_no_more_often_than_it_says():
    # True accuracy on the margin's edge: "equivalent" may come out in 5 % at most (exact test).
    draws = np.random.default_rng(0).binomial(400, 0.6, 2000)
    wrong = {k: s.equivalence(int(k), 400, 0.10).equivalent for k in np.unique(draws)}
    assert np.mean([wrong[k] for k in draws]) <= 0.06


def test_equivalence_of_readers_is_the_t_test_by_hand():
    values = np.array([0.52, 0.49, 0.55, 0.47])
    found = s.equivalence_of_readers(values.tolist(), 0.10)
    from scipy.stats import t

    error = values.std(ddof=1) / 2
    by_hand = max(t.sf((values.mean() - 0.4) / error, 3), t.cdf((values.mean() - 0.6) / error, 3))
    assert found.p == pytest.approx(by_hand)
    assert math.isnan(s.equivalence_of_readers([0.5, 0.6], 0.1).p)


def test_sample_size_agrees_with_the_normal_approximation_and_the_power_it_promises():
    # (z0.95 + z0.90)² · 0.25 / margin²: 857 and 215; the exact binomial test needs a few more.
    assert 857 <= s.judgements_needed(0.05) <= 900
    assert 215 <= s.judgements_needed(0.10) <= 235
    n = s.judgements_needed(0.10)
    correct = np.random.default_rng(0).binomial(n, 0.5, 3000)
    shown = {k: s.equivalence(int(k), n, 0.10).equivalent for k in np.unique(correct)}
    assert np.mean([shown[k] for k in correct]) >= 0.78


def test_sample_size_of_several_readers():
    alone = s.sample_size(0.10)
    assert s.sample_size(0.10, readers=4).images_per_reader == math.ceil(alone.judgements / 4)
    clustered = s.sample_size(0.10, readers=4, correlation=0.5).images_per_reader
    assert clustered == math.ceil(alone.judgements * 2.5 / 4)


@pytest.mark.parametrize("wrong", [{"margin": 0.0}, {"margin": 0.1, "expected": 0.7}, {"margin": 0.1, "readers": 0}])
def test_a_sample_size_that_cannot_be(wrong):
    with pytest.raises(InputError):
        s.sample_size(**wrong)
