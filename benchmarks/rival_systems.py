"""The others: what makes their images and what trains them, of the networks in rival_networks.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rival_measures import Made, Trained, flops_of

STEPS = 50
"""DDIM steps that latent diffusion is usually sampled with; one is timed."""


def rivals() -> dict[str, Callable[[], tuple[Any, Any]]]:
    """By name: what builds (generator, critic); the critic is None where training has no second player."""
    import rival_networks as r

    return {
        "pix2pix": lambda: (r.UNet256(), r.PatchGan70()),
        "lightweight-gan": lambda: (r.LightGenerator(), r.LightCritic()),
        "StyleGAN2": lambda: (r.StyleGenerator(), r.StyleCritic()),
        "latent diffusion": lambda: (r.Denoiser(), None),
    }


def noise_for(name: str, count: int) -> tuple[Any, ...]:
    """Inputs of a generator."""
    import torch

    if name == "pix2pix":
        return (torch.rand(count, 3, 256, 256) * 2 - 1,)
    if name == "latent diffusion":
        return torch.randn(count, 3, 64, 64), torch.full((count,), 500.0)
    return (torch.randn(count, 256 if name == "lightweight-gan" else 512),)


def rival(name: str) -> tuple[Made, Callable[[], Trained], int]:
    """What makes images, what trains, and the number of parameters that use needs."""
    import torch

    from rival_networks import count_parameters
    from syntheticcellgan.networks.blocks import channels_last
    from syntheticcellgan.pixels import to_uint8

    generator, critic = rivals()[name]()
    generator = channels_last(generator).eval()
    latents = name == "latent diffusion"

    def make(count: int) -> object:
        with torch.inference_mode():
            made = generator(*noise_for(name, count))
            return made if latents else to_uint8(made)

    flops = flops_of(lambda: make(1))

    def trained() -> Trained:
        batch = 1 if latents else 2
        step = _denoising(generator, batch) if critic is None else _playing(name, generator, critic, batch)
        return Trained(step, batch, flops_of(step))

    steps = STEPS if latents else 1
    return Made(make, flops * steps, steps), trained, count_parameters(generator)


def real_images(count: int) -> Any:
    """Cells of the shipped sample, (count, 3, 256, 256), −1 … 1."""
    import numpy as np

    from syntheticcellgan.data.images import read_image
    from syntheticcellgan.data.manifest import read_manifest
    from syntheticcellgan.data.sample import sample_folder
    from syntheticcellgan.pixels import to_tensor

    manifest = read_manifest(sample_folder())
    return to_tensor(np.stack([read_image(manifest.path(record)) for record in manifest.records[:count]]))


def _playing(name: str, generator: Any, critic: Any, batch: int) -> Callable[[], object]:
    """One step of each player. Penalties, which some of them use now and then, are left out in their favour."""
    import torch
    import torch.nn.functional as F

    from syntheticcellgan.networks.blocks import channels_last

    generator.train()
    critic = channels_last(critic).train()
    adams = [torch.optim.Adam(network.parameters(), 2e-4, betas=(0.5, 0.99)) for network in (generator, critic)]
    real = real_images(batch)

    def judged(image: Any, seen: Any) -> Any:
        return critic(torch.cat([seen, image], dim=1) if name == "pix2pix" else image).float()

    def step() -> object:
        given = noise_for(name, batch)
        made = generator(*given)
        loss = F.softplus(-judged(real, given[0])).mean() + F.softplus(judged(made.detach(), given[0])).mean()
        adams[1].zero_grad()
        loss.backward()
        adams[1].step()
        loss = F.softplus(-judged(made, given[0])).mean()
        if name == "pix2pix":
            loss = loss + 100 * (made.float() - real).abs().mean()
        adams[0].zero_grad()
        loss.backward()
        adams[0].step()
        return loss

    return step


def _denoising(network: Any, batch: int) -> Callable[[], object]:
    import torch

    adam = torch.optim.Adam(network.train().parameters(), 1e-4)

    def step() -> object:
        latent, at = noise_for("latent diffusion", batch)
        loss = (network(latent, at).float() - torch.randn_like(latent)).square().mean()
        adam.zero_grad()
        loss.backward()
        adam.step()
        return loss

    return step
