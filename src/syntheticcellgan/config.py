"""Every setting of the chain, once, with its default and its reason. An unknown key is an error, never ignored."""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

from syntheticcellgan.cell_types import nearest
from syntheticcellgan.errors import InputError

Mode = Literal["typed", "basic"]
ObjectiveName = Literal["relativistic", "wgan-gp"]

T = TypeVar("T")  # any dataclass of settings

# Settings that lost and were deleted, and the value that stands for what is done now: files that say just that are read on.
RETIRED: dict[tuple[str, str], Any] = {
    ("GeneratorConfig", "decoder"): "bilinear",
    ("AutoencoderTraining", "shrunk_every"): 0,
    ("LowResolutionTraining", "colour_augmentation"): 0.0,
}


@dataclass(frozen=True)
class GeneratorConfig:
    """Low-resolution generator and its critic (64×64; 32 and 128 selectable)."""

    resolution: int = 64
    mode: Mode = "typed"  # "basic": blind to the type, as published; the translator gives the type
    latent_size: int = 128
    width: int = 256  # channels at 4×4; half of it above
    latent_channels: int = 16  # of the autoencoder, at an eighth of the resolution
    mapping_layers: int = 2
    spread: float = 1.0  # style vectors lie so many times as far from their type's mean as the mapping puts them


@dataclass(frozen=True)
class TranslatorConfig:
    """Translator and its patch critic."""

    scale: int = 4  # 2 or 4: output side = resolution × scale
    width: int = 32  # channels at the input's resolution
    noise_channels: int = 20  # on the input's grid
    fine_noise: int = 4  # channels on a grid of half the output's side, folded out of those
    blocks: int = 3  # residual blocks at each of the three lower scales
    level: float = 0.2  # degradation of the basic image before translation (0: none, 1: a coloured blur)


@dataclass(frozen=True)
class AutoencoderTraining:
    """How the autoencoder of basic cell images learns."""

    kimg: float = 100.0  # thousands of real images seen, as everywhere
    batch: int = 24
    learning_rate: float = 6e-4
    decay_from: float = 0.6
    centre: float = 5.0  # the pixel loss weighs the middle, where the white cell lies, so much more than the border
    perceptual_weight: float = 0.5
    adversarial_weight: float = 0.05  # a patch critic keeps the copies from blurring
    penalty: float = 1.0  # γ of the patch critic's R1 + R2
    penalty_interval: int = 16
    noise: float = 0.08  # on latents of root mean square 1; less of it leaves room for lobes and granules
    ema_kimg: float = 2.0


@dataclass(frozen=True)
class LowResolutionTraining:
    """How the low-resolution generator learns."""

    objective: ObjectiveName = "relativistic"
    kimg: float = 400.0
    batch: int = 32
    learning_rate: float = 3e-4
    decay_from: float = 0.7  # the learning rate falls linearly to a twentieth over the rest of the run
    penalty: float = 0.2  # γ of R1 + R2 (relativistic); λ of wgan-gp is 10 whatever stands here
    penalty_interval: int = 8
    noise: float = 0.1  # added to the latents of both players, root mean square 1
    augmentation: float = 0.5  # probability that the critic sees a latent shifted, and partly hidden
    spread: float = 1.1  # `generator.spread` of the bundle: the averaged generator varies less than real cells do
    label_fade_kimg: float = 15.0  # the type's influence grows from 0 to 1 over these images (typed)
    ema_kimg: float = 5.0  # half-life of the average of the weights


@dataclass(frozen=True)
class TranslationTraining:
    """How the translator learns."""

    objective: ObjectiveName = "relativistic"
    kimg: float = 60.0
    paired_kimg: float = 45.0  # phase one; afterwards a part of each batch is the generator's own cells
    generated: float = 0.25  # that part; the paired rest keeps colours and granules true
    batch: int = 16
    crop: int = 128  # side, in output pixels, of the crops that training sees
    learning_rate: float = 3e-4
    decay_from: float = 0.7
    penalty: float = 1.0
    penalty_interval: int = 16
    pixel_weight: float = 1.0  # L1 at the basic image's resolution: finer pixels are the critic's to judge
    perceptual_weight: float = 0.3  # energy score of early features of a packaged network
    texture_weight: float = 2.0  # energy score of the local statistics of pixels and of those features
    matching_weight: float = 0.5  # feature matching on the patch critic's coarser half
    adversarial_weight: float = 0.25  # much more of it turns chromatin into grain
    consistency_weight: float = 2.0  # down-consistency, second phase
    ema_kimg: float = 6.0  # averages of far-apart weights were nearer to real cells than any one of them


@dataclass(frozen=True)
class RefinementTraining:
    """How the translator learns at last from whole cells of the generator."""

    kimg: float = 10.0  # synthetic images; 0: the stage is left out
    batch: int = 8
    learning_rate: float = 3e-4
    decay_from: float = 0.6
    compared: int = 200  # real cells of each type
    remembered: int = 64  # synthetic cells of each type
    crop: int = 128  # of real images for the paired scores, half as many as the batch
    energy_weight: float = 1.0  # energy distance to the real cells, sum over four depths
    consistency_weight: float = 2.0
    pixel_weight: float = 1.0  # these three as in the stage before
    perceptual_weight: float = 0.3
    texture_weight: float = 2.0
    ema_kimg: float = 1.0


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run."""

    seed: int = 0
    validation_fraction: float = 0.05
    test_fraction: float = 0.20
    checkpoint_minutes: float = 5.0
    minimum_images: int = 10  # per type
    autoencoder: AutoencoderTraining = field(default_factory=AutoencoderTraining)
    low_resolution: LowResolutionTraining = field(default_factory=LowResolutionTraining)
    translation: TranslationTraining = field(default_factory=TranslationTraining)
    refinement: RefinementTraining = field(default_factory=RefinementTraining)


@dataclass(frozen=True)
class GameAdaptation:
    """How a further type learns its form and colours, from few images, against the bundle's own critic."""

    kimg: float = 6.0
    batch: int = 16
    learning_rate: float = 1e-3  # of the type's own few parameters
    critic_learning_rate: float = 2e-4
    decay_from: float = 0.5
    penalty: float = 0.5
    penalty_interval: int = 8
    noise: float = 0.1
    augmentation: float = 0.5  # at the start; it rises where the critic learns the images by heart
    ema_kimg: float = 1.0
    turns: int = 16  # turned copies of each image and of its mirror image


@dataclass(frozen=True)
class Adaptation:
    """How a bundle learns a further type from few images: `scg adapt`."""

    seed: int = 0
    minimum_images: int = 20
    held_out_fraction: float = 0.2
    checkpoint_minutes: float = 1.0
    checked: int = 100  # synthetic cells that each check for copies looks at
    game: GameAdaptation = field(default_factory=GameAdaptation)
    translation: TranslationTraining = field(
        default_factory=lambda: TranslationTraining(
            kimg=1.6, paired_kimg=1.0, batch=8, learning_rate=1e-3, decay_from=0.5, ema_kimg=0.5
        )
    )


@dataclass(frozen=True)
class NormaliserTraining:
    """How the learned normaliser is made from one laboratory's images: `scg stain learn`."""

    seed: int = 0
    kimg: float = 160.0
    laboratories: int = 8  # virtual ones in a batch
    cells: int = 6  # images of each
    learning_rate: float = 2e-3
    ema_kimg: float = 10.0


LENGTHS = ("kimg", "paired_kimg")


def lengthened(settings: T, factor: float) -> T:
    """The same settings, every stage `factor` times as long, to a whole image; `settings` is any dataclass of this module."""
    table: Any = settings
    changed: dict[str, Any] = {}
    for name in (setting.name for setting in dataclasses.fields(table)):
        value = getattr(table, name)
        if dataclasses.is_dataclass(value):
            changed[name] = lengthened(value, factor)
        elif name in LENGTHS:
            changed[name] = round(value * factor, 3)
    longer: T = dataclasses.replace(table, **changed)
    return longer


@dataclass(frozen=True)
class ChainConfig:
    """The two networks of a bundle and the types that they know."""

    cell_types: tuple[str, ...]
    generator: GeneratorConfig = field(default_factory=GeneratorConfig)
    translator: TranslatorConfig = field(default_factory=TranslatorConfig)
    adapted: tuple[str, ...] = ()  # of the cell types, those with parameters of their own, learnt from few images
    adapter_rank: int = 8

    @property
    def output_size(self) -> int:
        """Side of the finished image in pixels."""
        return self.generator.resolution * self.translator.scale

    @property
    def noise_sizes(self) -> tuple[tuple[int, ...], ...]:
        """Of the noise that a cell is made of, in the order of drawing: latent, grain of the basic image, texture."""
        side = self.generator.resolution
        return (self.generator.latent_size,), (3, side, side), (self.translator.noise_channels, side, side)


def to_dict(config: Any) -> dict[str, Any]:
    """Plain dictionary of a configuration, ready for JSON."""
    return dataclasses.asdict(config)


def from_dict(cls: type[T], values: Any, source: str = "configuration") -> T:
    """Build a configuration and refuse unknown keys and wrong kinds of value; `RETIRED` ones are passed over.

    Raises:
        InputError: naming `source`, the key and the nearest known key.
    """
    if not isinstance(values, dict):
        raise InputError(f"{source}: {cls.__name__} should be a table of settings, not {type(values).__name__}.")
    hints = typing.get_type_hints(cls)
    built: dict[str, Any] = {}
    for key, value in values.items():
        if key not in hints:
            retired = (cls.__name__, key)
            if retired in RETIRED and value == RETIRED[retired]:
                continue
            near = nearest(str(key), hints)
            raise InputError(
                f"{source}: the setting “{key}” is not known" + (f"; did you mean “{near}”?" if near else ".")
            )
        built[key] = _convert(hints[key], value, f"{source}: {key}")
    try:
        return cls(**built)
    except TypeError as error:
        raise InputError(f"{source}: {error}.") from error


def _convert(hint: Any, value: Any, where: str) -> Any:
    if dataclasses.is_dataclass(hint):
        return from_dict(typing.cast(type, hint), value, where)
    origin = typing.get_origin(hint)
    if origin is Literal:
        choices = typing.get_args(hint)
        if value not in choices:
            raise InputError(f"{where} is {value!r}; it can be {', '.join(choices)}.")
        return value
    if origin is tuple:
        if not isinstance(value, (list, tuple)) or not all(isinstance(v, str) for v in value):
            raise InputError(f"{where} should be a list of names.")
        return tuple(value)
    if hint is str and isinstance(value, str):
        return value
    number = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < 1e18
    if hint is float and number:
        return float(value)
    if hint is int and number and float(value).is_integer():
        return int(value)
    raise InputError(f"{where} is {value!r}; it should be a {'whole number' if hint is int else 'number'}.")


def check_chain(config: ChainConfig, source: str = "configuration") -> ChainConfig:
    """Refuse a chain that no network can be built from, before anything is allocated.

    Raises:
        InputError: naming the setting and its allowed values.
    """
    g, t = config.generator, config.translator
    limits: list[tuple[bool, str]] = [
        (1 <= len(config.cell_types) <= 1000, "cell_types needs 1 to 1000 names"),
        (len(set(config.cell_types)) == len(config.cell_types), "cell_types names a type twice"),
        (
            len(set(config.adapted)) == len(config.adapted) and set(config.adapted) <= set(config.cell_types),
            "adapted names a type twice, or one that is not among cell_types",
        ),
        (1 <= config.adapter_rank <= 64, "adapter_rank can be 1 to 64"),
        (g.resolution in (32, 64, 128), "generator.resolution can be 32, 64 or 128"),
        (t.scale in (2, 4), "translator.scale can be 2 or 4"),
        (128 <= config.output_size <= 512, "the output (resolution × scale) can be 128 to 512 pixels"),
        (8 <= g.latent_size <= 1024, "generator.latent_size can be 8 to 1024"),
        (16 <= g.width <= 1024 and g.width % 16 == 0, "generator.width can be 16 to 1024, in steps of 16"),
        (2 <= g.latent_channels <= 128, "generator.latent_channels can be 2 to 128"),
        (1 <= g.mapping_layers <= 8, "generator.mapping_layers can be 1 to 8"),
        (0.5 <= g.spread <= 2, "generator.spread can be 0.5 to 2"),
        (8 <= t.width <= 256 and t.width % 8 == 0, "translator.width can be 8 to 256, in steps of 8"),
        (1 <= t.noise_channels <= 64, "translator.noise_channels can be 1 to 64"),
        (
            0 <= t.fine_noise * (t.scale // 2) ** 2 < t.noise_channels,
            "translator.fine_noise, times four at scale 4, must be less than translator.noise_channels",
        ),
        (1 <= t.blocks <= 8, "translator.blocks can be 1 to 8"),
        (0.0 <= t.level <= 1.0, "translator.level lies between 0 and 1"),
    ]
    for holds, sentence in limits:
        if not holds:
            raise InputError(f"{source}: {sentence}.")
    return config


def check_training(
    config: TrainingConfig, chain: ChainConfig, source: str = "configuration", start: str = ""
) -> TrainingConfig:
    """Refuse training settings that cannot work, before hours are spent.

    start: the bundle that the run begins with, if any; with it a stage may see no image and keep the bundle's weights.

    Raises:
        InputError: naming the setting and its allowed values.
    """
    games: dict[str, AutoencoderTraining | LowResolutionTraining | TranslationTraining] = {
        "autoencoder": config.autoencoder,
        "low_resolution": config.low_resolution,
        "translation": config.translation,
    }
    refinement = config.refinement
    limits: list[tuple[bool, str]] = [
        (0 < config.validation_fraction < 0.5, "validation_fraction lies between 0 and 0.5"),
        (0 < config.test_fraction < 0.5, "test_fraction lies between 0 and 0.5"),
        (config.minimum_images >= 2, "minimum_images can be 2 or more"),
        (config.checkpoint_minutes > 0, "checkpoint_minutes must be above 0"),
    ]
    for name, stage in {**games, "refinement": refinement}.items():
        limits += [
            (2 <= stage.batch <= 65536, f"{name}.batch can be 2 or more"),
            (0 < stage.learning_rate < 1, f"{name}.learning_rate lies between 0 and 1"),
            (0 <= stage.decay_from <= 1, f"{name}.decay_from lies between 0 and 1"),
        ]
    for name, game in games.items():
        least = "must be above 0; with --start-from 0 keeps the bundle's weights"
        limits += [
            (0 < game.kimg <= 1e6 or (bool(start) and game.kimg == 0), f"{name}.kimg {least}"),
            (game.penalty_interval >= 1, f"{name}.penalty_interval can be 1 or more"),
        ]
    step = 8 * chain.translator.scale
    for name, side in (("translation", config.translation.crop), ("refinement", refinement.crop)):
        crop = min(side, chain.output_size)
        limits += [
            (crop >= 2 * step and crop % step == 0, f"{name}.crop must be a multiple of {step}, at least {2 * step}")
        ]
    limits += [
        (0 <= refinement.kimg <= 1e6, "refinement.kimg can be 0 or more"),
        (8 <= refinement.compared <= 10_000, "refinement.compared can be 8 to 10000"),
        (2 <= refinement.remembered <= 10_000, "refinement.remembered can be 2 to 10000"),
        (config.autoencoder.centre >= 0, "autoencoder.centre can be 0 or more"),
        (chain.generator.spread == 1, "generator.spread is not for training; set low_resolution.spread"),
        (0.5 <= config.low_resolution.spread <= 2, "low_resolution.spread can be 0.5 to 2"),
        (0 <= config.low_resolution.augmentation <= 1, "low_resolution.augmentation lies between 0 and 1"),
        (0 < config.translation.generated < 1, "translation.generated lies between 0 and 1"),
        (config.translation.paired_kimg > 0, "translation.paired_kimg must be above 0"),
    ]
    for holds, sentence in limits:
        if not holds:
            raise InputError(f"{source}: {sentence}.")
    return config
