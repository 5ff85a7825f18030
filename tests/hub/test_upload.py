"""Weights and card of a run go to Hugging Face and come back as a checkpoint; the site is a folder here."""

from __future__ import annotations

import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import huggingface_hub
import pytest

from densepred.cli import named_checkpoint as names
from densepred.commands import report
from densepred.engine import temperature
from densepred.errors import Notice
from densepred.hub import published
from densepred.hub.download import ABSENT, Published
from densepred.types import UserError
from densepred.weights.file import write_tensors
from densepred.weights.header import read_header
from tests.conftest import REPOSITORY, composed

RUN = REPOSITORY / "tests" / "former_runs" / "semantic"


class Site:
    """Repositories as folders; keeps how they were made."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.made = folder, list[tuple[str, bool]]()
        self.public = set[str]()

    def create_repo(self, repository: str, private: bool, exist_ok: bool) -> str:
        assert exist_ok
        self.made.append((repository, private))
        (self.folder / repository).mkdir(parents=True, exist_ok=True)
        return f"https://huggingface.co/{repository}"

    def model_info(self, repository: str) -> SimpleNamespace:
        return SimpleNamespace(private=repository not in self.public)

    def upload_file(self, path_or_fileobj: Path, path_in_repo: str, repo_id: str) -> None:
        shutil.copy(path_or_fileobj, self.folder / repo_id / path_in_repo)

    def fetch(self, file: Published, otherwise: str) -> Path:
        owner, name, _, _, one = file.url.removeprefix(f"{published.constants.ENDPOINT}/").split("/")
        path = self.folder / owner / name / one
        if not path.is_file():
            raise UserError(f"{file.url}: cannot be downloaded: {ABSENT}; {otherwise}")
        return path


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    made = Site(tmp_path / "site")
    monkeypatch.setattr(huggingface_hub, "HfApi", lambda: made)
    monkeypatch.setattr(huggingface_hub, "try_to_load_from_cache", lambda *_: None)
    monkeypatch.setattr(published, "fetch", made.fetch)
    return made


def push(folder: Path, *words: str) -> int:
    card = ("card=true", f"ckpt={RUN}", f"output={folder / 'card.md'}", *words)
    return report.report(composed(*card, name="report"))


def test_a_run_is_pushed_and_comes_back_by_name(site: Site, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert push(tmp_path, "push=me/net", "license=mit") == 0
    assert "uploaded to https://huggingface.co/me/net" in capsys.readouterr().out
    assert site.made == [("me/net", True)]
    card = (site.folder / "me" / "net" / "README.md").read_text()
    assert "densepred-predict ckpt=hf:me/net input=" in card
    assert 'license: "mit"' in card
    found = Path(names.checkpoint("hf:me/net"))
    assert read_header(found) == read_header(RUN / "best.safetensors")


def test_a_temperature_that_stays_behind_gets_a_line(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(temperature, "held", lambda weights: {"semantic": 2.0})
    with pytest.warns(Notice, match=r"push=me/net: temperature\.json is not uploaded, so probabilities from there"):
        assert push(tmp_path, "push=me/net", "license=mit") == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["push=me/net"], "weights that others get need a licence; add license="),
        (["push=me", "license=mit"], "not a repository of Hugging Face; give USER/NAME"),
    ],
)
def test_a_push_without_licence_or_name_is_refused(site: Site, tmp_path: Path, words: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        push(tmp_path, *words)
    assert site.made == []


def test_a_public_repository_is_refused_unless_it_may_be_public(site: Site, tmp_path: Path) -> None:
    site.public.add("me/net")
    with pytest.raises(UserError, match="push=me/net: exists and is public; type private=false"):
        push(tmp_path, "push=me/net", "license=mit")
    assert list((site.folder / "me" / "net").iterdir()) == []
    assert push(tmp_path, "push=me/net", "license=mit", "private=false", "overwrite=true") == 0
    assert (site.folder / "me" / "net" / "model.safetensors").is_file()


def test_a_site_that_refuses_is_one_line(site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise OSError("no route to host\nmore lines")

    monkeypatch.setattr(site, "create_repo", refuse)
    with pytest.raises(UserError, match=r"^push=me/net: not uploaded: no route to host; check the name, and log in by"):
        push(tmp_path, "push=me/net", "license=mit")


def test_repositories_without_weights_of_densepred_are_refused(site: Site) -> None:
    import torch

    folder = site.folder / "me" / "other"
    folder.mkdir(parents=True)
    with pytest.raises(UserError, match="the server answered 404; check the name"):
        names.checkpoint("hf:me/other")
    write_tensors(folder / "model.safetensors", {"a": torch.zeros(1)})
    with pytest.raises(UserError, match="ckpt=hf:me/other: not weights that densepred wrote"):
        names.checkpoint("hf:me/other")


def test_a_push_of_a_report_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="a card is uploaded, not a report"):
        report.report(composed(f"runs={tmp_path}", "push=me/net", name="report"))
