"""`config`: a longer run is longer and nothing else; deleted settings are known by their place and value."""

import pytest

from syntheticcellgan.config import Adaptation, GeneratorConfig, TrainingConfig, from_dict, lengthened, to_dict
from syntheticcellgan.errors import InputError


def test_a_longer_run_is_longer_in_every_stage_and_alike_in_all_else():
    usual, longer = to_dict(TrainingConfig()), to_dict(lengthened(TrainingConfig(), 1.5))
    for stage in ("autoencoder", "low_resolution", "translation", "refinement"):
        assert longer[stage].pop("kimg") == 1.5 * usual[stage].pop("kimg")
    assert longer["translation"].pop("paired_kimg") == 1.5 * usual["translation"].pop("paired_kimg")
    assert longer == usual


def test_an_adaptation_is_lengthened_to_a_whole_image():
    usual, shorter = Adaptation(), lengthened(Adaptation(), 1 / 7)
    assert shorter.game.kimg == round(usual.game.kimg / 7, 3)
    assert shorter.translation.paired_kimg == round(usual.translation.paired_kimg / 7, 3)
    assert shorter.seed == usual.seed


def test_files_that_name_a_deleted_setting_are_read_if_they_ask_for_what_is_done_now():
    assert from_dict(GeneratorConfig, {"width": 64, "decoder": "bilinear"}) == GeneratorConfig(width=64)
    with pytest.raises(InputError, match="decoder"):
        from_dict(GeneratorConfig, {"decoder": "subpixel"})
    assert from_dict(TrainingConfig, {"autoencoder": {"shrunk_every": 0}}) == TrainingConfig()
    with pytest.raises(InputError, match="shrunk_every"):  # it never stood there
        from_dict(TrainingConfig, {"translation": {"shrunk_every": 0}})
