from __future__ import annotations

import pytest
from tests.stain.smears import abroad, home

from syntheticcellgan.stain.look import Look, fit


@pytest.fixture(scope="session")
def at_home() -> Look:
    return fit([home(seed) for seed in range(24)], "home")


@pytest.fixture(scope="session")
def elsewhere() -> Look:
    return fit([abroad(home(seed)) for seed in range(24, 48)], "elsewhere")
