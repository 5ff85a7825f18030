"""The command of a sweep as it was typed, recorded in its folder for `sweep.resume=DIR`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from densepred import atomic
from densepred.errors import UserError
from densepred.home import expand
from densepred.rundir import override, secrets
from densepred.sweep import ledger

FILE = "command.json"
RESUME = "sweep.resume"
FOLDER = "hydra.sweep.dir"


def write(sweep: Path, command: str, arguments: Sequence[str]) -> None:
    """Write the words of `densepred-<command>`, secrets hidden, into the folder of its sweep."""
    words = [secrets.redacted(word) for word in arguments]
    atomic.write_json(sweep / FILE, {"command": command, "arguments": words})


def restored(command: str, arguments: Sequence[str]) -> list[str]:
    """Return the arguments, those of the recorded sweep before them if they hold `sweep.resume=DIR`.

    What is typed beside it counts for this start. Raises UserError for a folder that holds no sweep of the command.
    """
    named = override.value(arguments, RESUME)
    typed = [word for word in arguments if override.key(word) != RESUME]
    if named in (None, "null"):
        return typed
    if not named:
        raise UserError(f"{RESUME}= names no folder; type {RESUME}=DIR, or leave it out")
    folder = expand(named)
    key = f"{RESUME}={folder}"
    if (file := missing(folder)) is not None:
        raise UserError(f"{key}: there is no {file}, so it is no folder of a sweep; see `ls multirun`")
    words = _read(folder / FILE, command)
    again = {override.key(word) for word in typed} | {FOLDER}
    kept = [word for word in words if word.startswith("-") or override.key(word) not in again]
    return ["--multirun", *secrets.typed_again(key, kept, typed), *typed, quoted(FOLDER, folder)]


def missing(sweep: Path) -> str | None:
    """Return the name of a file without which a sweep cannot be resumed; None if all are there."""
    return next((name for name in (ledger.NAME, FILE) if not (sweep / name).is_file()), None)


def _read(file: Path, command: str) -> list[str]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
        words, former = [str(word) for word in data["arguments"]], str(data["command"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(f"{file}: is damaged; type the command of the sweep again with {FOLDER}=DIR") from error
    if former != command:
        raise UserError(f"{file}: is a sweep of densepred-{former}; type densepred-{former} {RESUME}={file.parent}")
    return [word for word in words if word not in ("--multirun", "-m")]


def config_flags(arguments: Sequence[str]) -> list[str]:
    """Return the flags of a command that choose its configuration, with their values."""
    flags, words = [], iter(arguments)
    for word in words:
        if word in ("--config-dir", "-cd", "--config-name", "-cn", "--config-path", "-cp"):
            flags += [word, next(words, "")]
        elif word.startswith(("--config-dir=", "--config-name=", "--config-path=")):
            flags.append(word)
    return flags


def quoted(key: str, path: Path) -> str:
    """Return an override that sets a key to a path, whatever characters it has."""
    text = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'{key}="{text}"'
