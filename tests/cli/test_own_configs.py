"""YAML files of the user's own that are damaged, hostile or of another form: refused by one line, in bounded time."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from densepred.build import yaml_file
from densepred.errors import UserError
from densepred.rundir import provenance
from tests import forked

BASE = "_target_: densepred.dataset.shapes.Shapes\n_partial_: true\nsize: [24, 32]\n"
LAUGHS = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{after}: &{after} [{','.join([f'*{before}'] * 10)}]\n"
    for before, after in zip("abcdefgh", "bcdefghi", strict=True)
)
"""Nine lines that stand for 10^9 values."""

REFUSED = {
    "another encoding": (b"name: \xff\xfe\x80abc\n", "no text in UTF-8"),
    "UTF-16": (BASE.encode("utf-16"), "no text in UTF-8"),
    "control characters": (b'name: "a\x1b[31m"\nx: \x01\n', "special characters are not allowed"),
    "NUL": (b"x: a\0b\n", "special characters are not allowed"),
    "an anchor twice": (b"a: &x 1\nb: &x 2\n", "second occurrence"),
    "a key twice": (b"size: 1\nsize: 2\n", "duplicate key size"),
    "tabs": (b"objects:\n\t- 1\n", "cannot start any token"),
    "deep brackets": (b"a: " + b"[" * 10**5 + b"]" * 10**5, "nested more than 50 deep"),
    "deep indentation": ("".join(f"{' ' * i}k:\n" for i in range(3000)).encode(), "nested more than 50 deep"),
    "a billion laughs": (LAUGHS.encode(), "stands for more than 100000 values"),
    "an endless alias": (b"x: &r [*r]\n", "*r stands inside &r"),
    "no such alias": (b"x: *undefined\n", "undefined alias"),
    "a number of 10,000 digits": (b"limit: " + b"9" * 10**4, "cannot be read (Exceeds the limit (4300 digits)"),
    "merging a number": (b"b: &b {s: 1}\nm:\n  <<: [*b, 3]\n", "expected a mapping for merging"),
    "code": (b"x: !!python/object/apply:os.system ['touch canary']\n", "could not determine a constructor"),
    "a tag": (b"x: !foo bar\n", "could not determine a constructor"),
    "a set": (b"x: !!set {a, b}\n", "not a supported primitive type"),
    "a list as key": (b"? [1, 2]\n: 3\n", "unhashable key"),
    "null as key": (b"null: 3\n", "Incompatible key type"),
    "an open interpolation": (b"x: ${nosuch:${\n", "no viable alternative"),
    "two documents": (b"a: 1\n---\nb: 1\n", "another document"),
    "a list": (b"- a\n- b\n", "holds a list; write a mapping"),
    "defaults that are a number": (b"defaults: 7\n", "defaults must be a list (got int)"),
    "defaults of mappings": (b"defaults: [{a: {b: c}}]\n", "Unsupported item value in defaults"),
    "defaults that are not there": (b"defaults: [/model: unknown]\n", "model=unknown: there is no such option"),
    "defaults of itself": (b"defaults: [mine]\n", "names itself"),
}
FILELESS = ("defaults that are not there", "defaults of itself")
"""The other messages name the file; these name the option, or come when Hydra joins many files."""

SHORT = ("another encoding", "a billion laughs", "a number of 10,000 digits", "a list", "defaults that are a number")
"""The cases of `make test`: those that Hydra alone would not refuse, or by another error."""
CASES = [pytest.param(case, marks=() if case in SHORT else pytest.mark.slow) for case in REFUSED]


def own(folder: Path, group: str, content: bytes) -> tuple[str, ...]:
    """Write a file of one's own; return the words that choose it and print the configuration."""
    (folder / "own" / group).mkdir(parents=True)
    (folder / "own" / group / "mine.yaml").write_bytes(content)
    return "--config-dir=own", f"{group}=mine", "--cfg=job"


@pytest.mark.parametrize("group", ["dataset", pytest.param("experiment", marks=pytest.mark.slow)])
@pytest.mark.parametrize("case", CASES)
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, case: str, group: str) -> None:
    content, fact = REFUSED[case]
    begin = time.process_time()
    code, _, errors = forked.run("train", *own(tmp_path, group, content), folder=tmp_path)
    assert time.process_time() - begin < 10
    assert code == 2, errors
    [line] = errors.splitlines()
    assert fact in line, line
    assert "mine.yaml" in line or case in FILELESS, line
    assert not (tmp_path / "canary").exists()


@pytest.mark.parametrize("content", ["\ufeff" + BASE, BASE.replace("\n", "\r\n"), BASE + "x: 2020-01-01\n"])
def test_what_editors_write_is_read(tmp_path: Path, content: str) -> None:
    code, out, errors = forked.run("train", *own(tmp_path, "dataset", content.encode()), folder=tmp_path)
    assert (code, errors) == (0, "")
    assert "densepred.dataset.shapes.Shapes" in out


@pytest.mark.parametrize(
    "case", ["another encoding", "a billion laughs", "deep brackets", "an endless alias", "tabs", "code"]
)
def test_the_configuration_of_a_run_is_refused_likewise(tmp_path: Path, case: str) -> None:
    (tmp_path / "config.yaml").write_bytes(REFUSED[case][0])
    with pytest.raises(UserError, match=r"config\.yaml"):
        provenance.configuration(tmp_path / "config.yaml")


def test_values_are_counted_with_their_aliases_written_out(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(f"a: &a [{','.join('x' * 300)}]\nb: [{','.join(['*a'] * 300)}]\n")
    yaml_file.check(path)
    path.write_text(f"a: &a [{','.join('x' * 400)}]\nb: [{','.join(['*a'] * 300)}]\n")
    with pytest.raises(UserError, match="more than 100000 values"):
        yaml_file.check(path)
