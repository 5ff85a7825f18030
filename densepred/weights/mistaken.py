"""Name the kind of a file or folder given in place of a run, by its first bytes, and the command that takes it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

CHECKPOINTS = "checkpoints"
RUN = "overrides.txt"  # each run records in it what was typed
SWEEP = ("ledger.jsonl", "command.json")  # what the folder of a sweep holds
CONVERT = "save its weights there as safetensors, then densepred-import"
IMAGE = "an image; densepred-predict applies a model to it: ckpt=RUN input=IMAGE"
KINDS = (
    (b"\x89PNG", IMAGE),
    (b"\xff\xd8\xff", IMAGE),
    (b"GIF8", IMAGE),
    (b"BM", IMAGE),
    (b"II*\0", IMAGE),
    (b"MM\0*", IMAGE),
    (b"\x89HDF", f"a file of HDF5, as Keras writes; {CONVERT}"),
    (b"\x93NUMPY", f"an array of NumPy; {CONVERT}"),
    (b"GGUF", f"a file of llama.cpp (GGUF); {CONVERT}"),
    (b"MATLAB", f"a file of MATLAB; {CONVERT}"),
    (b"\x1f\x8b", "a gzip archive; unpack it first"),
    (b"%PDF", "a document; give the folder of a run"),
)
"""First bytes of kinds of files. Sources: the specifications of the formats, and the table of file(1)."""

INPUTS = {
    (".nii", ".nii.gz"): "a volume; densepred-predict applies a model to it: ckpt=RUN input=VOLUME",
    (".dcm", ".dicom"): IMAGE,
    (".mp4", ".mov", ".avi", ".mkv", ".webm"): "a video; densepred-predict applies a model to it: ckpt=RUN input=VIDEO",
}
"""Kinds by the ends of names: their first bytes say less, or are those of other kinds too."""
OF_STATE = ("optimizer.", "average.", "meter.")


def file(start: bytes, path: Path) -> str | None:
    """Return what a file with these first bytes (8 or more, if it has them) is; None if it is of no known kind."""
    if start[:4] == b"RIFF" and path.suffix.lower() == ".webp":
        return IMAGE
    if start[4:8] == b"TFL3":
        return f"a file of TensorFlow Lite; {CONVERT}"
    if path.suffix in (".yaml", ".json", ".jsonl", ".txt", ".log", ".csv"):
        run = path.parent
        return "a text file" + (
            f"; give the run itself: {run}" if (run / RUN).is_file() else "; give the folder of a run"
        )
    if (named := next((kind for ends, kind in INPUTS.items() if path.name.lower().endswith(ends)), None)) is not None:
        return named
    return next((kind for begin, kind in KINDS if start.startswith(begin)), None)


def folder(path: Path) -> str | None:
    """Return what a folder without published weights is; None if it is of no known kind."""
    run = run_of(path)
    if run is not None:
        return f"a part of a run; give the run itself: {run}"
    if is_sweep(path):
        return "the folder of a sweep; give the folder of one of its runs"
    if (path / RUN).is_file():
        return "a run that has published no weights yet; densepred-train goes on with it by trainer.resume="
    if (path / "config.json").is_file() or (path / "saved_model.pb").is_file():
        return "a model of another framework; densepred-import converts its file of weights"
    return None


def is_sweep(path: Path) -> bool:
    return any((path / name).is_file() for name in SWEEP)


def run_of(path: Path) -> Path | None:
    """Return the run to which a folder `checkpoints`, a checkpoint or one of its files belongs; None if none does."""
    found = next((parent for parent in [path, *path.parents][:3] if parent.name == CHECKPOINTS), None)
    return found.parent if found is not None and (found.parent / RUN).is_file() else None


def state(names: Iterable[str], path: Path) -> str | None:
    """Return what a file of a checkpoint is from the names of its tensors; None if it is a file of weights."""
    run = run_of(path) or "the folder of its run"
    known = [name for name in names if name != "__metadata__"]
    if known and all(name.startswith(OF_STATE) for name in known):
        return f"the state of a checkpoint (optimizer, averages), no model; give the run itself: {run}"
    return None
