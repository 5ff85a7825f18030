"""Bars and messages on one terminal, behind the screen that escapes control characters."""

from __future__ import annotations

import io
import re
import sys

import pytest

from densepred import output
from densepred.rundir.progress_bar import ProgressBar


class Terminal(io.StringIO):
    """A terminal of 80 columns, with what a person sees on it."""

    def isatty(self) -> bool:
        return True

    def seen(self) -> list[str]:
        """Return the lines on the screen, after line feeds, carriage returns and moves up."""
        lines, row, column = [[" "] * 80], 0, 0
        for token in re.findall(r"\x1b\[A|[^\x1b]", self.getvalue()):
            if token == "\x1b[A":
                row = max(row - 1, 0)
            elif token == "\n":
                row, column = row + 1, 0
                lines += [[" "] * 80] * (row == len(lines))
            elif token == "\r":
                column = 0
            else:
                lines[row][column], column = token, column + 1
        return ["".join(line).rstrip() for line in lines]


def opened(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in place of both streams; pytest does so itself between a fixture and its test."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", output.Screen(shown))
    monkeypatch.setattr(sys, "stderr", output.Screen(shown))
    monkeypatch.setenv("COLUMNS", "80")
    return shown


def test_a_bar_moves_in_one_line_and_messages_stand_above_it(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    with ProgressBar("training", 2, "step") as bar:
        for step in (1, 2):
            bar.update()
            with ProgressBar("validation", 3, "sample") as inner:
                inner.update(3)
                print("warning: \x1b[31m", file=sys.stderr)
                inner.bar.refresh()
            print(f"  step {step}")
            bar.bar.refresh()
        (last,) = [line for line in terminal.seen() if "training" in line]
        assert re.match(r"training: 100%\|.*\| 2/2 \[", last)
    message = r"warning: \x1b[31m"
    assert [line for line in terminal.seen() if line] == [message, "  step 1", message, "  step 2"]


def test_a_finished_bar_leaves_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = opened(monkeypatch)
    assert list(ProgressBar("train", 3, "image").over("abc")) == ["a", "b", "c"]
    print("done")
    assert terminal.seen() == ["done", ""]
    assert "\\r" not in terminal.getvalue()


@pytest.mark.parametrize("columns", [80, 50, 30])
def test_a_bar_with_scores_fits_its_terminal(columns: int, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(monkeypatch)
    with ProgressBar("training", 12000, "step", initial=11000) as bar:
        bar.note("loss 0.5190  117.6 images/s")
        bar.update(500)
        state = bar.bar.format_meter(**{**bar.bar.format_dict, "ncols": columns})
    assert len(state) <= columns
    assert "11500/12000" in state
    assert state.endswith("117.6 images/s]") == (columns > 60)
