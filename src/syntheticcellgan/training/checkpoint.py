"""Training state on disk: one safetensors file, written whole or not at all, and no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn

from syntheticcellgan.errors import InputError, ScgError


def save_checkpoint(
    path: Path,
    modules: Mapping[str, nn.Module],
    optimizers: Mapping[str, torch.optim.Optimizer],
    progress: Mapping[str, Any],
) -> None:
    """Write networks, optimizers and progress; an older file at `path` stays whole until the new one is.

    Raises:
        ScgError: the disk is full or the folder cannot be written.
    """
    tensors: dict[str, torch.Tensor] = {}
    for name, module in modules.items():
        for key, value in module.state_dict().items():
            tensors[f"module/{name}/{key}"] = value.detach().cpu().contiguous()
    for name, optimizer in optimizers.items():
        for index, state in optimizer.state_dict()["state"].items():
            for key, value in state.items():
                tensors[f"optimizer/{name}/{index}/{key}"] = torch.as_tensor(value).detach().cpu().contiguous()
    temporary = path.with_name(path.name + ".part")
    try:
        save_file(tensors, temporary, metadata={"progress": json.dumps(progress)})
        with open(temporary, "rb") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        temporary.unlink(missing_ok=True)
        raise ScgError(
            f"{path}: the checkpoint could not be written ({error}). Free some space or choose another --out folder; "
            "the previous checkpoint is untouched."
        ) from error


def read_progress(path: Path) -> dict[str, Any]:
    """The progress record alone, without the tensors.

    Raises:
        InputError: the file is no checkpoint of ours.
    """
    try:
        with safe_open(path, framework="pt") as file:
            progress: dict[str, Any] = json.loads((file.metadata() or {})["progress"])
            return progress
    except (SafetensorError, KeyError, ValueError, OSError) as error:
        raise InputError(
            f"{path} is not a readable checkpoint ({error}). Remove it to begin this stage anew."
        ) from error


def load_checkpoint(
    path: Path, modules: Mapping[str, nn.Module], optimizers: Mapping[str, torch.optim.Optimizer]
) -> dict[str, Any]:
    """Restore networks and optimizers in place and return the progress record.

    Raises:
        InputError: the file is unreadable or belongs to networks of another shape.
    """
    progress = read_progress(path)
    try:
        with safe_open(path, framework="pt") as file:
            keys = list(file.keys())
            for name, module in modules.items():
                prefix = f"module/{name}/"
                module.load_state_dict(
                    {k.removeprefix(prefix): file.get_tensor(k) for k in keys if k.startswith(prefix)}
                )
            for name, optimizer in optimizers.items():
                prefix = f"optimizer/{name}/"
                state: dict[int, dict[str, torch.Tensor]] = {}
                for k in keys:
                    if k.startswith(prefix):
                        index, entry = k.removeprefix(prefix).split("/")
                        state.setdefault(int(index), {})[entry] = file.get_tensor(k)
                optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    except (RuntimeError, SafetensorError, ValueError) as error:
        first = str(error).splitlines()[0]
        raise InputError(
            f"{path} does not fit the networks of this run ({first}). Use the settings that the run began with, "
            "or another --out folder."
        ) from error
    return progress
