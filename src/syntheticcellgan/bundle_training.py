"""What a bundle may carry for a later training: the networks that generation has no use for, encoder and critics."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

from syntheticcellgan.bundle_tensors import Unfilled, read_tensors
from syntheticcellgan.config import ChainConfig
from syntheticcellgan.networks.autoencoder import Autoencoder
from syntheticcellgan.networks.critic import Critic
from syntheticcellgan.networks.patch_critic import PatchCritic

FILE = "training.safetensors"


def training_networks(chain: ChainConfig) -> dict[str, nn.Module]:
    """One network for each prefix of the file, as the stages of training build them."""
    return {
        "autoencoder": Autoencoder(chain),
        "copy_critic": PatchCritic(chain),
        "critic": Critic(chain),
        "patch_critic": PatchCritic(chain),
    }


def read_training(content: bytes | None, chain: ChainConfig, path: Path) -> dict[str, dict[str, Tensor]]:
    """The weights of each network by its prefix, float32; empty for a bundle that carries none.

    Raises:
        InputError: as `bundle_tensors.read_tensors`.
    """
    if content is None:
        return {}
    with torch.device("meta"), Unfilled():
        networks = training_networks(chain)
    shapes = {
        f"{name}/{k}": tuple(v.shape) for name, network in networks.items() for k, v in network.state_dict().items()
    }
    found: dict[str, dict[str, Tensor]] = {name: {} for name in networks}
    for key, tensor in read_tensors(content, shapes, path, FILE).items():
        name, _, weight = key.partition("/")
        found[name][weight] = tensor
    return found
