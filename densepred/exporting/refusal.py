"""Errors of exporters and runtimes as one sentence: the model, the step that failed, and what to type."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from densepred.errors import UserError, classed
from densepred.exporting import program, session

LENGTH = 160
"""Characters of an error that are shown."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The names in the sentences.

    model: such as `model=unet of runs/1/best.safetensors`
    output: the file that is not written
    sized: True if the file is for images of one size
    """

    model: str
    output: Path
    sized: bool

    @contextmanager
    def at(self, step: str) -> Iterator[None]:
        """Raise UserError for an error within; those of the user and the machine, such as a full disk, stay."""
        try:
            yield
        except Exception as error:  # exporters and runtimes raise errors of a dozen types
            if classed(error) is not None:
                raise
            fact = next((line.strip() for line in str(error).splitlines() if line.strip()), "no reason given")
            told = f"{type(error).__name__}: {fact[:LENGTH]}"
            raise UserError(
                f"output={self.output}: not written: {self.model} {step} ({told}); {self.remedy()}"
            ) from error

    def remedy(self) -> str:
        """Return what may work instead: one size, or the other format."""
        other = self.output.with_suffix(program.SUFFIX if self.output.suffix == session.SUFFIX else session.SUFFIX)
        return f"type output={other}" if self.sized else f"type 'size=[HEIGHT,WIDTH]', or output={other}"
