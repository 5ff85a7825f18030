"""Tensors of published files: from torchvision's and timm's addresses, from Hugging Face and from packages."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import huggingface_hub
import torch
from huggingface_hub import constants
from safetensors import SafetensorError, safe_open
from torch import Tensor

from densepred.errors import Notice, UserError
from densepred.hub import packaged, pickles
from densepred.hub.download import ABSENT, Published, fetch, named_digest, verify
from densepred.hub.input_channels import adapt_input, adapt_statistics
from densepred.hub.packaged import OTHERWISE, PACKAGES

FILES = ("model.safetensors", "pytorch_model.bin")
"""Names of the weights in a repository of Hugging Face, the preferred first."""
TORCHVISION = "https://download.pytorch.org/models/{}.pth"
"""Address of a file of torchvision, by its name with the digits of its SHA-256."""
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
"""Statistics of ImageNet's images of RGB in [0, 1], by which torchvision normalises the input of its networks."""
COUNTER = ".num_batches_tracked"


@dataclass(frozen=True, slots=True)
class State:
    """Tensors by their published names, and the file that they come from."""

    tensors: Mapping[str, Tensor]
    path: Path

    def take(self, own: Mapping[str, Tensor], first: str = "", channels: int = 3) -> dict[str, Tensor]:
        """Return the tensors that a module has, `first` adapted to a number of input channels.

        Raises UserError if one is absent or has another shape.
        """
        found = {}
        for name, value in own.items():
            tensor = self.tensors.get(name)
            if tensor is None:
                if name.endswith(COUNTER):  # files from before torch 0.4.1 lack them
                    continue
                raise UserError(f"{self.path}: lacks {name}: it is of another model; remove it to fetch it again")
            tensor = adapt_input(tensor, channels) if name == first else tensor
            if tensor.shape != value.shape:
                raise UserError(
                    f"{self.path}: {name} is {tuple(tensor.shape)}, the model has {tuple(value.shape)}; "
                    "remove the file to fetch it again"
                )
            found[name] = tensor
        return found


def read(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file or a pickle without running anything from it."""
    if path.suffix != ".safetensors":
        return pickles.read(path)
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise UserError(f"{path}: {error}; remove it to fetch it again") from error


def folder() -> Path:
    """Return the folder of torch's hub, so that files of torchvision and timm that lie there are used."""
    return Path(torch.hub.get_dir()) / "checkpoints"


def base_name(url: str) -> str:
    """Return the name of the file at an address."""
    return url.partition("?")[0].rpartition("/")[2]


def statistics(channels: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of ImageNet, adapted to a number of input channels."""
    return adapt_statistics(MEAN, channels), adapt_statistics(STD, channels)


def from_address(url: str, sha256: str = "", otherwise: str = OTHERWISE) -> State:
    """Return the tensors of a file at an address; its name may hold digits of its SHA-256."""
    name = base_name(url)
    path = fetch(Published(url, folder() / name, sha256 or named_digest(name)), otherwise)
    return State(read(path), path)


def from_hugging_face(repository: str, name: str | None = None, sha256: str = "", otherwise: str = OTHERWISE) -> State:
    """Return the tensors of a repository at Hugging Face, from its own cache if they lie there."""
    path = file_of(repository, (name,) if name else FILES, sha256, otherwise)
    return State(read(path), path)


def file_of(repository: str, names: Sequence[str], sha256: str = "", otherwise: str = OTHERWISE) -> Path:
    """Return the first of these files that a repository at Hugging Face has, verified; downloaded if it is absent."""
    for one in names:
        found = huggingface_hub.try_to_load_from_cache(repository, one)
        if isinstance(found, str):
            path = Path(found)
            blob = path.resolve().name  # large files are stored there under their SHA-256
            known = sha256 or (blob if len(blob) == 64 else "")
            verify(Published(f"{constants.ENDPOINT}/{repository}/resolve/main/{one}", path, known))
            return path
    for one in names:
        path = folder() / f"{repository.replace('/', '--')}--{one}"
        url = f"{constants.ENDPOINT}/{repository}/resolve/main/{one}"
        try:
            return fetch(Published(url, path, sha256), otherwise)
        except UserError as error:
            if ABSENT not in str(error) or one == names[-1]:  # older repositories hold a pickle only
                raise
    raise AssertionError(names)


def of_timm(name: str, otherwise: str = OTHERWISE) -> State:
    """Return the tensors that timm publishes for one of its models, under the names of its file."""
    import timm  # slow to import

    facts: Any = timm.get_pretrained_cfg(name)
    if facts is None or not (facts.hf_hub_id or facts.url):
        raise UserError(f"encoder.name={name}: timm has no weights of it; choose another model or {otherwise}")
    if name.partition(".")[0] in PACKAGES and (state := _packaged(name)):
        return state
    address = facts.url if isinstance(facts.url, str) else ""
    if facts.custom_load and (facts.hf_hub_filename or address).endswith(".npz"):
        raise UserError(f"encoder.name={name}: its weights are arrays of JAX, which are not read; {otherwise}")
    if address and (folder() / base_name(address)).is_file():
        return from_address(address, otherwise=otherwise)
    if name.partition(".")[0] in PACKAGES:
        otherwise = packaged.otherwise(name, otherwise)
    if facts.hf_hub_id:
        return from_hugging_face(facts.hf_hub_id, facts.hf_hub_filename, otherwise=otherwise)
    return from_address(address, otherwise=otherwise)


def _packaged(name: str) -> State | None:
    """Return the tensors from an installed package, which is not imported; None if it is not installed."""
    import timm

    base = name.partition(".")[0]
    found = importlib.util.find_spec(PACKAGES[base])
    places = found.submodule_search_locations if found else None
    files = sorted(Path(places[0]).glob("models/*.pth")) if places else []
    if not files:
        return None
    verify(Published(f"the package {PACKAGES[base]}", files[0], named_digest(files[0].name)))
    state = read(files[0])
    with torch.device("meta"):
        own = timm.create_model(base).state_dict()
    pairs = list(zip(own.items(), state.values(), strict=False))
    if len(own) != len(state) or any(value.shape != given.shape for (_, value), given in pairs):
        raise UserError(f"{files[0]}: its tensors are not those of {name}; install {PACKAGES[base]} again")
    warnings.warn(f"encoder.pretrained: ImageNet weights of the package {PACKAGES[base]}", Notice, stacklevel=2)
    return State({key: given for (key, _), given in pairs}, files[0])
