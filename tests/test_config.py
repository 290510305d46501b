"""`config.lengthened`: the length of a run, and nothing else, changes."""

from syntheticcellgan.config import Adaptation, TrainingConfig, lengthened, to_dict


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
