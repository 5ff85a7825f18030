"""Images of several depths, from training to evaluation and prediction."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from densepred import predictor
from densepred.build.allowlist import check_info
from densepred.cli import compose
from densepred.errors import UserError
from densepred.jobs import evaluation
from densepred.weights.header import DIGEST, KEY
from tests import running
from tests.conftest import composed
from tests.dataset.files import write

RANDOM = np.random.default_rng(3)


def tree(root: Path, kinds: tuple[str, ...]) -> Path:
    """Draw bright squares on dark ground, in turn as bytes, 12 bits and 16 bits."""
    for split, count in (("train", 6), ("val", 4)):
        for index in range(count):
            labels = np.zeros((24, 32), np.uint8)
            labels[4:16, 6 + index : 20 + index] = 1
            light = np.clip(0.3 + 0.4 * labels + 0.05 * RANDOM.standard_normal(labels.shape), 0, 1)
            top = {"8": 255, "12": 4095, "16": 65535}[kinds[index % len(kinds)]]
            kind = np.uint8 if top == 255 else np.uint16
            write(root / f"images/{split}/{index}.tif", (light * top).astype(kind))
            write(root / f"masks/{split}/{index}.png", labels)
    return root


def trained(folder: Path, root: Path) -> Path:
    words = ("dataset=folder", f"dataset.root={root}", "model=unet", "encoder.widths=[4,8]", "data.batch_size=3")
    more = ("transform=none", "trainer.epochs=2", "trainer.pictures=1")
    assert running.training.work(running.bare_job(folder, *words, *more)) == 0
    return folder


def scores(run: Path, root: Path, folder: Path, size: int) -> dict[str, float]:
    words = (f"ckpt={run}", "dataset=folder", f"dataset.root={root}", f"data.batch_size={size}", "data.workers=0")
    settings = compose.settings(composed(*words, name="eval"))
    assert evaluation.work(evaluation.EvaluationJob(settings, folder)) == 0
    return json.loads((folder / "metrics.json").read_text())["metrics"]


def test_scores_of_mixed_depths_do_not_depend_on_the_batch_size(tmp_path: Path) -> None:
    root = tree(tmp_path / "data", ("8", "16"))
    run = trained(tmp_path / "run", root)
    model = predictor.load(run, "cpu").model
    variances = [value for name, value in model.state_dict().items() if name.endswith("running_var")]
    assert variances
    assert max(float(value.max()) for value in variances) < 100
    alone, together = (scores(run, root, tmp_path / f"eval{size}", size) for size in (1, 4))
    assert alone == pytest.approx(together, abs=1e-6)


def test_evaluation_and_prediction_scale_as_training_did(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = trained(tmp_path / "run", tree(tmp_path / "data", ("12",)))
    model = predictor.load(run, "cpu")
    assert model.info.max_value == 4095
    values = RANDOM.integers(0, 4096, (24, 32))
    for kind in (np.uint16, np.int32, np.int64):
        expected = torch.from_numpy(values / 4095)[None]
        torch.testing.assert_close(model.read(values.astype(kind)).double(), expected, atol=1e-6, rtol=0)
        torch.testing.assert_close(
            model.read(torch.from_numpy(values.astype(kind))[None]).double(), expected, atol=1e-6, rtol=0
        )

    # An evaluation on other files keeps the white of the training
    seen = []
    make = evaluation.make_dataset
    monkeypatch.setattr(evaluation, "make_dataset", lambda *a: seen.append(make(*a)) or seen[-1])
    other = tree(tmp_path / "other", ("8",))
    scores(run, other, tmp_path / "a", 2)
    forget_white(run)
    scores(run, other, tmp_path / "b", 2)
    assert [data.info.max_value for data in seen] == [4095, 65535]


def forget_white(run: Path) -> None:
    """Write the weights again as before headers held `max_value` and digests."""
    for path in run.glob("*.safetensors"):
        with safe_open(path, "pt") as file:
            metadata = dict(file.metadata())
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118, it is no mapping
        header = json.loads(metadata[KEY])
        del header["info"]["max_value"], header[DIGEST]
        save_file(tensors, path, {KEY: json.dumps(header)})


def test_integers_of_bytes_given_to_a_model_of_bytes_are_bytes(tmp_path: Path) -> None:
    model = predictor.load(trained(tmp_path / "run", tree(tmp_path / "data", ("8",))), "cpu")
    values = RANDOM.integers(0, 256, (24, 32))
    expected = model(values.astype(np.uint8), probabilities=True).probabilities
    for picture in (values, values.astype(np.int32), torch.from_numpy(values)[None]):
        assert torch.equal(model(picture, probabilities=True).probabilities, expected)


@pytest.mark.parametrize("value", ["4095", 0, -1, True, [4095], 0.5])
def test_a_white_that_is_no_number_is_refused(value: object) -> None:
    check_info({"max_value": None})
    check_info({"max_value": 4095})
    with pytest.raises(UserError, match=r"info\.max_value"):
        check_info({"max_value": value})
