"""Settings that take their value from an environment variable: compared between the starts of a run.

Files keep the interpolation `${oc.env:NAME}`, which reads alike whatever the variable holds. So a checkpoint records
the value too: plain numbers, words and paths that exist as they are, anything else as a salted digest.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import re
from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from densepred.errors import UserError
from densepred.rundir import secrets
from densepred.rundir.free import FREE, named
from densepred.rundir.provenance import flatten

ROUNDS = 200_000  # of PBKDF2: a short secret cannot be tried out quickly
PART = "variables"
"""Part of state.json."""

DIGEST, SALT = "digest", "salt"


def names(config: DictConfig) -> list[str]:
    """Return the environment variables that decide about the results of a job."""
    raw = flatten(_raw(config))
    return list(dict.fromkeys(name for key in behind(config) for name in _named_in(raw[key])))


def _raw(config: DictConfig) -> dict[str, Any]:
    raw = OmegaConf.to_container(config, resolve=False, enum_to_str=True)
    assert isinstance(raw, dict)
    return {str(key): node for key, node in raw.items() if key != "hydra"}


def _named_in(node: Any) -> list[str]:
    return secrets.VARIABLE.findall(json.dumps(node, default=str))


def behind(config: DictConfig) -> dict[str, Any]:
    """Return the present value of each setting that names `${oc.env:...}`, by its dotted key.

    Settings that sound secret are left out, as are those that do not change a result: keys may be replaced by others.
    """
    return {
        key: _resolved(config, key)
        for key, value in flatten(_raw(config)).items()
        if _named_in(value) and not named(key, FREE) and not any(map(secrets.is_secret, key.split(".")))
    }


def _resolved(config: DictConfig, key: str) -> Any:
    try:
        value = OmegaConf.select(config, key)
        return OmegaConf.to_container(value, resolve=True) if OmegaConf.is_config(value) else value
    except OmegaConfBaseException:  # told when the settings are read
        return None


def record(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values as a checkpoint holds them: by key, [value], or the salt and the digest of one to be hidden."""
    return {key: [value] if secrets.tells_nothing(value) else _hidden(value) for key, value in values.items()}


def _hidden(value: Any) -> dict[str, str]:
    salt = os.urandom(16)
    return {SALT: salt.hex(), DIGEST: digest(value, salt)}


def digest(value: Any, salt: bytes) -> str:
    """Return a digest of a value, in hexadecimal, that takes about a tenth of a second to compute."""
    return hashlib.pbkdf2_hmac("sha256", json.dumps(value, sort_keys=True, default=str).encode(), salt, ROUNDS).hex()


def changes(
    meta: Mapping[str, Any], values: Mapping[str, Any], written: Mapping[str, Any], allowed: Sequence[str]
) -> dict[str, tuple[Any, Any]]:
    """Return (then, now) of each setting if its variable held another value at the checkpoint with `meta`.

    written: settings with their interpolations. None stands for a former value that is not recorded as it was.
    Raises UserError for a setting that `allowed` does not name.
    """
    recorded = meta.get(PART) or {}
    changed = {
        key: (then[0] if isinstance(then, list) else None, values[key])
        for key, then in recorded.items()
        if key in values and not _same(values[key], then)
    }
    refused = [key for key in sorted(changed) if not named(key, allowed)]
    for key in refused:
        variables = " and ".join(dict.fromkeys(_named_in(written.get(key))))
        raise UserError(
            f"{key}: comes from the environment variable {variables}; the run began with "
            f"{_difference(recorded[key], values[key])}; set {variables} as it was, or add "
            f"'trainer.allow=[{','.join(refused)}]' if you mean it"
        )
    return changed


def unrecorded(meta: Mapping[str, Any], values: Mapping[str, Any]) -> list[str]:
    """Return a sentence if the checkpoint with `meta` was written without values to compare with."""
    if not values or PART in meta:
        return []
    return [f"{', '.join(values)}: the run began when values of environment variables were not recorded; not compared"]


def _difference(then: Any, now: Any) -> str:
    if isinstance(then, list) and secrets.tells_nothing(now):
        return f"{json.dumps(then[0])} and would go on with {json.dumps(now)}"
    return "another value"


def _same(value: Any, then: Any) -> bool:
    if isinstance(then, list):
        return then == [value]
    salt = str(then.get(SALT)) if isinstance(then, Mapping) else ""
    if not re.fullmatch(r"([0-9a-f]{2})+", salt):
        return False
    return hmac.compare_digest(digest(value, bytes.fromhex(salt)), str(then.get(DIGEST)))
