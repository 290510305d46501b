"""A slice of benchmarks/fuzz.py: hostile bundles, archives, tables, looks and forms are read or refused with a sentence."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.fuzz.targets import opened

EXAMPLES = {"bundle": 60, "archive": 150, "labels": 250, "look": 100, "forms": 200}
EXAMPLES |= {
    "tensors": 300,
    "config": 300,
    "card": 300,
    "sums": 100,
    "zip": 300,
    "shard": 300,
    "plan": 200,
    "split": 300,
}
EXAMPLES |= {"fields": 100}


@pytest.fixture(scope="module")
def targets(tmp_path_factory):
    with opened(tmp_path_factory.mktemp("fuzz")) as made:
        yield made


@pytest.mark.parametrize("name", EXAMPLES)
def test_whatever_is_fed_is_read_or_refused(targets, name):
    taken = set()

    @settings(
        max_examples=EXAMPLES[name],
        derandomize=True,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(st.integers(0, 2**64 - 1))
    def feed(number):
        taken.add(targets[name].feed(number))

    feed()
    assert taken == {"read", "refused"}, "inputs that say something"
