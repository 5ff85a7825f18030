"""Secrets in settings: in no file of a run, and typed again where a run goes on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from densepred import output
from densepred.errors import UserError
from densepred.rundir import provenance, secrets
from tests import forked

PLANTED = "s3cr3t-Pl4nted"

COMPONENT = """
from densepred.dataset.shapes import Shapes


class Mine(Shapes):
    def __init__(self, url="", deep=None, pwd="", plain="", env="", fail=False, **more):
        super().__init__(**more)
        if fail:
            raise RuntimeError(f"cannot log in with {url} {deep} {pwd} {plain} {env}")
"""


@pytest.fixture(autouse=True)
def forgetful() -> Iterator[None]:
    before = set(output._secrets)
    yield
    output._secrets.clear()
    output._secrets.update(before)


KEYS = ("pwd", "auth", "passwd", "db.password", "credential", "aws_credentials", "API_KEY", "apiKey", "accessToken")
KEYS += ("auth_token", "passphrase", "private_key", "login.pw", "secrets", "bearer", "Authorization")


@pytest.mark.parametrize("key", KEYS)
def test_keys_that_sound_secret_are_hidden(key: str) -> None:
    assert secrets.redacted(f"dataset.{key}=abcdef") == f"dataset.{key}=<redacted>"


@pytest.mark.parametrize(
    "key", ["author", "passes", "num_tokens", "tokenizer", "monitor", "signal", "keypoints", "authors"]
)
def test_ordinary_keys_stay(key: str) -> None:
    assert secrets.redacted(f"dataset.{key}=abcdef") == f"dataset.{key}=abcdef"


@pytest.mark.parametrize(
    ("word", "hidden"),
    [
        (
            "a.b={user: me, auth: {name: x, deep: [S]}}",
            "a.b={user: me, auth: {name: <redacted>, deep: [<redacted>]}}",
        ),
        ("a.url=https://me:S@host/x", "a.url=https://<redacted>@host/x"),
        ("a.url=postgresql://me:p/S@host/x", "a.url=postgresql://<redacted>@host/x"),
        ("a.url=postgresql://me:p@S?@host/x", "a.url=postgresql://<redacted>@host/x"),
        ("a.url=[https://a:S@h,https://b:S@i/x]", "a.url=[https://<redacted>@h,https://<redacted>@i/x]"),
        ("a.url=http://host:8080/x@v1", "a.url=http://host:8080/x@v1"),
        ("a.url=https://host/x@v1", "a.url=https://host/x@v1"),
        ("a.url=https://host/x?v=1&sig=S#token=S", "a.url=https://host/x?v=<redacted>&sig=<redacted>#token=<redacted>"),
        ('a.url="https://host/x?key=S"', 'a.url="https://host/x?key=<redacted>"'),
        ("a.auth.name=S", "a.auth.name=<redacted>"),
        ("a.pwd=${oc.env:PW}", "a.pwd=${oc.env:PW}"),
        ("a.list=[x,y]", "a.list=[x,y]"),
        ("a.b=[{pwd:S,x:https://h/a},'q']", "a.b=[{pwd:<redacted>,x:https://h/a},'q']"),
        ("a.b={pwd: S:S, 'api_key': \"S}\"}", "a.b={pwd: <redacted>:<redacted>, 'api_key': <redacted>}"),
        ("a.pwd=[S,{x: S}]", "a.pwd=[<redacted>,{x: <redacted>}]"),
    ],
)
def test_overrides_keep_everything_except_for_the_secret(word: str, hidden: str) -> None:
    assert secrets.redacted(word.replace("S", PLANTED)) == hidden


@pytest.mark.parametrize("number", ["12", "0.001", "-1e-4", ".5", "+3."])
def test_numbers_of_the_environment_are_no_secrets(number: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PLANTED_RATE", number)
    secrets.collect(OmegaConf.create({"optimizer": {"lr": "${oc.decode:${oc.env:PLANTED_RATE}}"}}))
    assert secrets.redacted(f"optimizer.weight_decay={number}") == f"optimizer.weight_decay={number}"


def test_what_a_configuration_resolves_to_is_known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PLANTED_ENV", f"{PLANTED}-env")
    monkeypatch.setenv("PLANTED_FOLDER", str(tmp_path))
    config = OmegaConf.create(
        {
            "plain": "${oc.env:PLANTED_ENV}",
            "inside": "x-${oc.env:PLANTED_ENV}-y",
            "folder": "${oc.env:PLANTED_FOLDER}/a",
            "default": "${oc.env:PLANTED_NONE," + PLANTED + "-default}",
            "auth": {"name": f"{PLANTED}-name", "number": 123456, "flag": True},
            "copy": "${auth.name}",
            "url": f"https://me:{PLANTED}-login@host/?token={PLANTED}-query",
        }
    )
    secrets.collect(config)
    text = (
        " ".join(f"{PLANTED}-{name}" for name in ("env", "default", "name", "login", "query")) + f" 123456 {tmp_path}"
    )
    assert output.clean(text) == " ".join(["<redacted>"] * 6) + f" {tmp_path}"


def test_a_secret_is_typed_again() -> None:
    words = ["dataset.root=x", "dataset.pwd=<redacted>", "dataset.auth={name: <redacted>}"]
    with pytest.raises(UserError, match=r"^RUN: dataset.pwd held a secret, .*type dataset.pwd=... again"):
        secrets.typed_again("RUN", words, [])
    assert secrets.typed_again("RUN", words, ["dataset.pwd=x", "+dataset.auth.name=y"]) == ["dataset.root=x"]


WORDS = (
    f'dataset.url="https://me:{PLANTED}@host/x?token={PLANTED}"',
    f'dataset.deep={{auth: {{name: "{PLANTED}"}}}}',
    f"dataset.pwd={PLANTED}",
    "dataset.env='${oc.env:PLANTED}'",
)
TINY = ("trainer.max_steps=1", "dataset.size=[24,32]", "dataset.counts={train: 4, valid: 2, test: 2}", "data.workers=0")
TINY += ("data.batch_size=2", "encoder.widths=[4,8]", "trainer.pictures=1", "hydra.run.dir=run")


def planted(folder: Path) -> list[str]:
    """Return the files below a folder that hold the secret, also as bytes of binary files."""
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [str(path) for path in files if PLANTED.encode() in path.read_bytes()]


def test_a_run_and_its_errors_hold_no_secret_and_go_on_when_it_is_typed_again(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text(COMPONENT)
    (tmp_path / "conf/dataset").mkdir(parents=True)
    (tmp_path / "conf/dataset/mine.yaml").write_text(
        "# mine\ndefaults: [shapes]\n_target_: mine.Mine\nurl: ''\ndeep: null\npwd: ''\nenv: ''\nfail: false\n"
    )
    begun = ("--config-dir", "conf", "dataset=mine", *WORDS, *TINY)
    env = {"PLANTED": PLANTED}
    code, out, err = forked.run("train", *begun, folder=tmp_path, environment=env)
    assert code == 0, err
    assert planted(tmp_path / "run") == []
    assert PLANTED not in out + err
    again = ("--config-dir", "conf", "trainer.resume=run")
    code, _, err = forked.run("train", *again, folder=tmp_path, environment=env)
    assert (code, "type dataset.url=... again" in err) == (2, True), err
    code, _, err = forked.run("train", *again, *WORDS[:3], folder=tmp_path, environment=env)
    assert code == 0, err
    code, out, err = forked.run(
        "train", *begun[:-1], "hydra.run.dir=failed", "dataset.fail=true", folder=tmp_path, environment=env
    )
    assert code == 1
    assert "cannot log in" in err
    assert PLANTED not in out + err
    assert planted(tmp_path / "failed") == []
    assert "<redacted>" in (tmp_path / "failed/train.log").read_text()


def test_config_yaml_keeps_interpolations(tmp_path: Path) -> None:
    config = OmegaConf.create({"pwd": "${oc.env:PW}", "deep": {"secret": {"a": PLANTED, "n": 5}, "name": "x"}})
    provenance.write(tmp_path, provenance.as_written(config), [])
    read = OmegaConf.to_container(OmegaConf.load(tmp_path / "config.yaml"), resolve=False)
    assert read == {"pwd": "${oc.env:PW}", "deep": {"secret": {"a": "<redacted>", "n": "<redacted>"}, "name": "x"}}
