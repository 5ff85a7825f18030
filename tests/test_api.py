"""densepred from Python: the commands' code, their messages as exceptions, and the notebook of the documents."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from PIL import Image

from densepred import api, predictor
from densepred import train as train_
from densepred.cli import call
from densepred.dataset import nodata
from densepred.engine.trainer import Trainer
from densepred.errors import Notice, UserError
from densepred.process.stop import StopFlag
from tests.conftest import REPOSITORY, composed
from tests.running import TINY

SHORT = (*TINY, "trainer.max_steps=2", "trainer.threads=1")
NOTEBOOK = REPOSITORY / "docs" / "notebook.ipynb"


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> api.Run:
    folder = tmp_path_factory.mktemp("api")
    return api.train(*SHORT, f"hydra.run.dir={folder / 'it is a run'}")


def test_a_run_is_what_the_command_writes(run: api.Run) -> None:
    summary = json.loads((run.folder / "summary.json").read_text())
    assert run.metrics["miou"] == summary["best"]["miou"]
    assert not {"step", "epoch"} & run.metrics.keys()
    assert [line["step"] for line in run.history if "train/loss/total" in line] == [1, 2]
    assert run.config.trainer.max_steps == 2
    assert "encoder.widths=[4,8]" in (run.folder / "overrides.txt").read_text()
    assert "| miou |" in run._repr_markdown_()
    assert "stopped" not in (run.folder / "train.log").read_text()


def test_an_evaluation_equals_the_last_validation(run: api.Run, tmp_path: Path) -> None:
    found = api.evaluate(run, "data.workers=0", f"output={tmp_path}")
    assert found.metrics == pytest.approx(run.metrics, abs=1e-6)  # losses, too: means over the run's batches of 2
    assert [row["image"] for row in found.per_image] == ["valid/000000", "valid/000001", "valid/000002"]
    assert found.folder == tmp_path


def test_a_prediction_is_that_of_the_predictor(run: api.Run, tmp_path: Path) -> None:
    image = np.random.default_rng(0).integers(0, 256, (21, 34, 3), dtype=np.uint8)
    found = api.predict(run, image, "probabilities=true")
    expected = predictor.load(run.folder)(image, probabilities=True)
    assert torch.equal(found.semantic, expected.need("semantic"))
    assert torch.equal(found.probabilities, expected.need("probabilities"))
    assert found.picture().size[0] >= 34
    found.save(tmp_path / "picture.png")
    with Image.open(tmp_path / "picture.png") as written:
        assert written.tobytes() == found.picture().tobytes()
    assert repr(found) == "Prediction(21 x 34: probabilities, semantic)"
    with pytest.raises(UserError, match=r"picture\.nothing: no image format"):
        found.save("picture.nothing")
    with pytest.raises(AttributeError, match="colour"):
        found.colour  # noqa: B018


def test_pixels_without_data_have_no_class_on_any_way(run: api.Run, tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(1, 256, (20, 30, 3), dtype=np.uint8)
    values[:, :10] = 0
    Image.fromarray(values).save(file := tmp_path / "map.tif", tiffinfo={nodata.TAG: "0"})
    folder, model = api.predict_files(run, file, f"output={tmp_path / 'out'}"), predictor.load(run.folder)
    written = torch.from_numpy(np.array(Image.open(folder / "labels" / "map.png")))
    assert int((written == 255).sum()) == 200
    for found in (api.predict(run, file).annotation, model(file)):
        assert torch.equal(found.need("semantic"), written)


def test_notices_name_what_a_prediction_ignores_or_lacks(
    run: api.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image, predicted = np.zeros((20, 20, 3), np.uint8), api.one
    monkeypatch.setattr(api, "one", lambda *arguments: replace(predicted(*arguments), probabilities=None))
    api.predict(run, [image, image], "probabilities=true", "workers=3", "threshold=0.4")
    told = capsys.readouterr().err
    assert all(f"{word}: has no effect: " in told for word in ("workers=3", "threshold=0.4"))
    assert told.count("probabilities=true: the model of this checkpoint predicts none") == 1


def test_a_list_of_images_and_several_runs(run: api.Run) -> None:
    images = [np.full((20, 20, 3), value, np.uint8) for value in (0, 200)]
    one, two = api.predict(run, images)
    assert torch.equal(one.semantic, api.predict([run, run], images[0]).semantic)
    assert two.size == (20, 20)


def test_a_run_keeps_its_model_until_it_is_trained_further(run: api.Run) -> None:
    image = np.zeros((20, 20, 3), np.uint8)
    api.predict(run, image)
    kept = next(iter(run._models.values()))
    api.predict(run, image)
    assert next(iter(run._models.values())) is kept
    api.predict(run, image, "precision=bf16")
    assert next(iter(run._models.values())) is not kept


def test_predictions_that_reach_the_limit_of_the_codec_have_a_notice(
    run: api.Run, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    image, predicted = np.zeros((20, 20, 3), np.uint8), api.one
    api.predict(run, image)
    codec: Any = next(iter(run._models.values())).task.codec
    monkeypatch.setattr(codec, "max_detections", 7, raising=False)
    monkeypatch.setattr(codec, "full", 5, raising=False)  # left by a call that was interrupted

    def reached(*arguments: Any) -> Any:
        codec.full += 1
        return predicted(*arguments)

    monkeypatch.setattr(api, "one", reached)
    for images, fact in (([image], "the image has"), ([image, image], "2 of 2 images have")):
        api.predict(run, images)
        assert f"codec.max_detections=7: {fact} as many predictions" in capsys.readouterr().err


def test_a_run_keeps_no_model_of_another_temperature(run: api.Run, tmp_path: Path) -> None:
    folder = shutil.copytree(run.folder, tmp_path / "run")
    own, image = api.Run(folder), np.zeros((32, 32, 3), np.uint8)
    before = api.predict(own, image, "probabilities=true").probabilities
    api.evaluate(own, "calibrate=true", f"output={tmp_path / 'e'}", "data.workers=0")
    after = api.predict(own, image, "probabilities=true").probabilities
    again = api.predict(api.Run(folder), image, "probabilities=true").probabilities
    assert not np.array_equal(before, after)
    assert np.array_equal(after, again)


def test_settings_of_torch_come_back(run: api.Run, tmp_path: Path) -> None:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    numbers = torch.random.get_rng_state()
    api.evaluate(run, f"threads={threads + 1}", f"output={tmp_path / 'e'}", "data.workers=0")
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == precision
    assert torch.equal(torch.random.get_rng_state(), numbers)


def test_folders_are_predicted_into_files(run: api.Run, tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    Image.new("RGB", (24, 20)).save(tmp_path / "images" / "a.png")
    folder = api.predict_files(run, tmp_path / "images", f"output={tmp_path / 'out'}")
    assert (folder / "labels" / "a.png").is_file()
    (tmp_path / "images" / "b.png").write_bytes(b"no image")
    with pytest.raises(UserError, match="some images could not be predicted"):
        api.predict_files(run, tmp_path / "images", f"output={tmp_path / 'out'}")


@pytest.mark.parametrize(
    ("call_", "sentence"),
    [
        (lambda run: api.train("experiment=nothing"), "experiment=nothing: there is no such option"),
        (lambda run: api.train("trainer.max_stepz=3"), r"max_stepz: there is no such key; did you mean trainer.max_st"),
        (lambda run: api.train("--multirun", "loss=ce,dice"), "--multirun: from Python there are overrides alone"),
        (lambda run: api.predict(run, "no.png", cast(Any, ["flip=true"])), r"\['flip=true'\]: overrides are texts"),
        (lambda run: api.evaluate("no-such-run"), "no-such-run"),
        (lambda run: api.Run(Path("no-such-run")), "no-such-run: there is no such run folder"),
        (lambda run: api.predict(run, "no.png"), r"no\.png: there is no such file"),
        (lambda run: api.predict(run, "no.png", "output=x"), "output: predict writes no files; call api.predict_files"),
        (lambda run: api.predict(run, "no.png", "++fps=25"), "fps: predict writes no files; call api.predict_files"),
        (lambda run: api.predict(run, np.zeros((9, 9, 3), np.uint8), "tyle=3"), "tyle"),
    ],
)
def test_mistakes_are_exceptions_with_the_sentence(
    run: api.Run, call_: Callable[[api.Run], Any], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    streams, argv, path = (sys.stdout, sys.stderr), sys.argv, list(sys.path)
    with pytest.raises(UserError, match=sentence):
        call_(run)
    assert ((sys.stdout, sys.stderr), sys.argv, sys.path) == (streams, argv, path)
    assert list(tmp_path.rglob("*")) == []  # nothing of a refused run stays


def test_the_function_of_a_command_asks_for_the_api(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    with pytest.raises(UserError, match=r"outside its command.*call densepred\.api\.train"):
        train_.train(composed(*TINY))


def test_hydra_of_the_caller_comes_back(run: api.Run) -> None:
    with initialize_config_dir(str(REPOSITORY / "configs"), version_base="1.3"):
        before = GlobalHydra.instance().hydra
        api.predict(run, np.zeros((20, 20, 3), np.uint8))
        assert GlobalHydra.instance().hydra is before


def test_an_interrupt_saves_and_tells_how_to_go_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = Trainer._step

    def interrupted(self: Trainer, *arguments: Any, **more: Any) -> Any:
        os.kill(os.getpid(), signal.SIGINT)
        return before(self, *arguments, **more)

    monkeypatch.setattr(Trainer, "_step", interrupted)
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match=r"api\.train\('trainer\.resume=") as stopped:
        api.train(*SHORT, f"hydra.run.dir={tmp_path / 'run'}")
    assert signal.getsignal(signal.SIGINT) is handler
    monkeypatch.undo()
    words = re.findall(r"api\.train\('(.*)'\)", str(stopped.value))
    assert api.train(*words).history[-1]["step"] == 2


def test_a_second_interrupt_leaves_the_program_alive() -> None:
    def job(cfg: Any) -> None:
        with StopFlag() as stop:
            os.kill(os.getpid(), signal.SIGINT)
            assert stop.raised
            stop._time -= 1
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="a second signal"):
        call.call(job, "predict", ["ckpt=x", "hydra.run.dir=."])


def test_a_thread_may_predict(run: api.Run) -> None:
    found: list[Any] = []
    image = np.zeros((20, 20, 3), np.uint8)
    thread = threading.Thread(target=lambda: found.append(api.predict(run, image)))
    thread.start()
    thread.join()
    assert found[0].size == (20, 20)


@pytest.mark.parametrize("path", ["a b", "it's", "[x],{y}", "back\\slash", "quote\\'", "2018_05", "ends\\"])
def test_any_path_can_be_given(path: str) -> None:
    parse = OverridesParser.create().parse_override
    assert str(parse(f"ckpt={call.quoted(path)}").value()) == path
    assert list(map(str, parse(f"ckpt={call.quoted([path, 'b'])}").value())) == [path, "b"]  # pyright: ignore


def test_without_a_screen_show_gives_a_hint(run: api.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(sys, "platform", "linux")
    with pytest.warns(Notice, match=r"save\('prediction\.png'\)"):
        api.predict(run, np.zeros((20, 20, 3), np.uint8)).show()


def cells() -> list[str]:
    """The code of the notebook."""
    found = json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]
    return ["".join(cell["source"]) for cell in found if cell["cell_type"] == "code"]


@pytest.mark.filterwarnings("ignore::densepred.errors.Notice")
def test_the_notebook_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cell after cell in this process, with fewer steps and smaller scenes."""
    monkeypatch.chdir(tmp_path)
    long, short = '"trainer.max_steps=20"', ", ".join(f'"{word}"' for word in SHORT)
    source = cells()
    assert any(long in cell for cell in source)
    space: dict[str, Any] = {"__name__": "notebook"}
    for cell in source:
        exec(compile(cell.replace(long, short), str(NOTEBOOK), "exec"), space)
    assert isinstance(space["run"], api.Run)


@pytest.mark.slow
def test_a_kernel_runs_the_notebook(tmp_path: Path) -> None:
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=900, kernel_name="python3", resources=resources).execute()
    outputs = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("image/png" in output.get("data", {}) for output in outputs)  # what show() displays
    assert not [output for output in outputs if output.output_type == "error"]


def test_damaged_records_of_a_run_are_named(tmp_path: Path) -> None:
    (tmp_path / "metrics.jsonl").write_bytes(b'{"step": 1}\n\xff')
    (tmp_path / "config.yaml").write_bytes(b"a: [")
    run = api.Run(tmp_path)
    with pytest.raises(UserError, match=r"metrics\.jsonl: is damaged"):
        _ = run.history
    with pytest.raises(UserError, match=r"config\.yaml"):
        _ = run.config
