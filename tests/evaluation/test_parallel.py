"""Tasks in processes: their order, their errors, and figures that do not depend on how many there are."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import pytest
import torch
from tests.evaluation.test_utility import TINY, cells

from syntheticcellgan.cores import one_thread
from syntheticcellgan.errors import InputError
from syntheticcellgan.evaluation.classifiers import ConvNet
from syntheticcellgan.evaluation.parallel import results_of
from syntheticcellgan.evaluation.utility import measure_utility


def refuse(name: str) -> None:
    raise InputError(f"{name} cannot be read")


def test_results_come_in_order_and_lazily_with_one_worker():
    done: list[int] = []
    results = results_of([partial(done.append, i) for i in range(3)])
    next(results)
    assert done == [0]
    assert list(results_of([partial(pow, 2, i) for i in range(9)], workers=2)) == [2**i for i in range(9)]


def test_a_refusal_in_another_process_is_still_one():
    with pytest.raises(InputError, match=r"cell\.png cannot be read"):
        list(results_of([partial(refuse, "cell.png")] * 2, workers=2))


def test_threads_are_given_back():
    before = torch.get_num_threads()
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_figures_do_not_depend_on_the_number_of_processes():
    sets, kind = [cells(12, seed) for seed in range(3)], ConvNet(steps=6, batch=12)
    one, two = (measure_utility(*sets, classifiers=[kind], settings=TINY, workers=workers) for workers in (1, 2))
    assert replace(one, seconds=0.0) == replace(two, seconds=0.0)
