"""Weights and their model card into a repository of Hugging Face, on request alone."""

from __future__ import annotations

from pathlib import Path

import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalTokenNotFoundError

from densepred.errors import UserError
from densepred.hub.zoo import REPOSITORY

WEIGHTS, CARD = "model.safetensors", "README.md"
"""Names of the files in the repository: `ckpt=hf:USER/NAME` and the site look for them."""


def check(repository: str) -> None:
    """Raise UserError unless the text is USER/NAME."""
    if not REPOSITORY.fullmatch(repository):
        raise UserError(f"push={repository}: not a repository of Hugging Face; give USER/NAME")


def upload(weights: Path, card: Path, repository: str, private: bool) -> str:
    """Write both files into a repository, made if it is absent; return its address.

    private: refuse a public repository that exists, before anything is written

    The token is the one of `hf auth login` or HF_TOKEN; it is neither read nor kept here. Raises UserError if the
    site refuses or is not reached.
    """
    api = huggingface_hub.HfApi()
    try:
        address = api.create_repo(repository, private=private, exist_ok=True)
        if private and api.model_info(repository).private is False:
            raise UserError(
                f"push={repository}: exists and is public; type private=false if everyone may read the weights, or "
                "make it private at Hugging Face"
            )
        for path, name in ((weights, WEIGHTS), (card, CARD)):
            api.upload_file(path_or_fileobj=path, path_in_repo=name, repo_id=repository)
    except (HfHubHTTPError, HFValidationError, LocalTokenNotFoundError, OSError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"push={repository}: not uploaded: {reason}; check the name, and log in by: hf auth login"
        ) from error
    return str(address)
