"""`scg adapt`: a bundle and few images of a type that it has never seen → a bundle that knows that type as well.

    adapt("pbc-256", "hairy-cells", "hairy_cell", out) -> Path of the new bundle

Every shared weight stays as it is, so the other types' images stay the same, bit for bit. One run folder; the same call
again goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from syntheticcellgan.adaptation.finish import make_bundle
from syntheticcellgan.adaptation.game import AdaptedGame
from syntheticcellgan.adaptation.pictures import copies_of, encode_turned, read_squares
from syntheticcellgan.adaptation.plan import GAME, TRANSLATION, Plan, make_plan
from syntheticcellgan.adaptation.translation import AdaptedTranslation, FewImages
from syntheticcellgan.bundle import verify_bundle
from syntheticcellgan.bundle_files import SUMS
from syntheticcellgan.bundle_training import read_training
from syntheticcellgan.config import Adaptation
from syntheticcellgan.files import lock
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.blocks import channels_last
from syntheticcellgan.networks.generator import LowResolutionGenerator
from syntheticcellgan.training.checkpoint import save_checkpoint
from syntheticcellgan.training.loop import Report, Stage, images_seen, load_best, run_stage
from syntheticcellgan.training.run import make_fabric
from syntheticcellgan.training.start import Start

Say = Callable[[str], None]


def adapt(
    bundle: str | Path,
    data: str | Path,
    cell_type: str,
    out: str | Path,
    settings: Adaptation | None = None,
    *,
    name: str | None = None,
    licence: str = "not stated",
    report: Report | None = None,
    say: Say = lambda sentence: None,
) -> Path:
    """Teach a bundle a further type from few images.

    Args:
        bundle: name or path; it must carry `training.safetensors`, as every bundle that `scg train` makes does.
        data: a folder of images of the type alone, or a data set of which only that type is taken.
        cell_type: any name that the bundle does not know yet.
        out: the run folder; the bundle becomes `out`/bundle. The same call goes on there.
        name: the new bundle's name. [that of the old one + the type]
        licence: of the images, for the card.
        report, say: told of each step, and in sentences of what was decided.

    Returns:
        The new bundle's folder.

    Raises:
        InputError: fewer than 20 images, a type that is known, a bundle that lacks what is needed, a folder in use.
        Interrupted: Ctrl-C; the state is saved.
    """
    place, settings = Path(out), settings or Adaptation()
    finished = place / "bundle"
    plan = make_plan(bundle, data, cell_type, place, settings)
    with lock(place / "adapt.lock"):
        if (finished / SUMS).exists():
            verify_bundle(finished)
            return finished
        learn(plan, place, report, say)
        return make_bundle(plan, place, name or f"{plan.base.name}+{plan.cell_type}", licence, say)


def learn(plan: Plan, out: Path, report: Report | None = None, say: Say = lambda sentence: None) -> None:
    """Both games, as far as they have not been played."""
    settings, chain, scale = plan.settings, plan.chain, plan.chain.translator.scale
    fabric = make_fabric(plan.hardware)
    parts = {part: read_squares(plan.split.part(plan.few, part), chain.output_size) for part in ("train", "validation")}
    autoencoder = channels_last(Autoencoder(chain)).eval().requires_grad_(False)
    autoencoder.load_state_dict(read_training(plan.base.training, plan.base.chain, plan.base.path)["autoencoder"])
    generator = channels_last(LowResolutionGenerator(chain)).eval().requires_grad_(False)
    if chain.generator.mode == "typed":
        turns, seed = settings.game.turns, settings.seed
        real, held_out = (encode_turned(images, autoencoder, scale, turns, seed) for images in parts.values())
        copies = copies_of(parts["train"], autoencoder, scale), copies_of(parts["validation"], autoencoder, scale)
        game = AdaptedGame(
            fabric, chain, settings.game, seed, plan.cell_type, real, held_out, copies, settings.checked, say
        )
        _begin(game, plan, out / GAME)
        if images_seen(out / GAME) == 0:
            # The state before the first step copies nothing: it remains if every later one comes too close.
            start = {"images": 0, "seconds": 0.0, "best_score": game.distance()}
            save_checkpoint(out / GAME / "best.safetensors", game.modules, {}, start)
        run_stage(game, out / GAME, settings.checkpoint_minutes, report, None, fabric)
        if load_best(out / GAME, {"average": generator})["images"] == 0:
            say(f"No later state kept away from the training images: the cells have the form of {plan.start} still.")
    else:  # blind to the type: there is nothing to learn
        generator.load_state_dict(plan.base.generator.state_dict())
    feed, held_out_feed = (
        FewImages(plan.split.part(plan.few, part), images, chain, plan.cell_type, settings.seed)
        for part, images in parts.items()
    )
    fabric.to_device(generator)
    training = replace(settings.translation, crop=min(settings.translation.crop, chain.output_size))
    translation = AdaptedTranslation(
        fabric, chain, training, settings.seed, feed, held_out_feed, autoencoder, generator
    )
    _begin(translation, plan, out / TRANSLATION)
    run_stage(translation, out / TRANSLATION, settings.checkpoint_minutes, report, None, fabric)


def _begin(stage: Stage, plan: Plan, folder: Path) -> None:
    """Weights of the bundle; what belongs to the new type begins as that of the nearest known one."""
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "last.safetensors").exists():
        return
    Start(plan.base.path, plan.chain).fill(stage.name, stage.modules)
    decoder = plan.base.generator.decoder.state_dict()
    new, near = (plan.chain.cell_types.index(name) for name in (plan.cell_type, plan.start))
    for module in stage.modules.values():
        if isinstance(module, LowResolutionGenerator):
            module.decoder.load_state_dict(decoder)
        for key, value in module.state_dict().items():
            if key == "types.weight":
                value[new] = value[near]
            elif "adapter." in key and plan.start in plan.chain.adapted:
                value[-1] = value[plan.chain.adapted.index(plan.start)]
