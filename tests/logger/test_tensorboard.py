"""Charts, pictures and settings on the pages of TensorBoard."""

from __future__ import annotations

import re
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.custom_scalar.layout_pb2 import Layout
from tensorboard.plugins.hparams.plugin_data_pb2 import HParamsPluginData

from densepred.logger.tensorboard import TensorBoard, charts

CONFIG = {
    "seed": 3,
    "trainer.max_steps": 20,
    "trainer.resume": None,
    "trainer.monitor": None,
    "task.monitor": "miou",
    "optimizer.lr": 0.1,
    "model._target_": "densepred.model.fcn.Fcn",
    "dataset.root": "secret/place",
}


def board(folder: Path) -> EventAccumulator:
    logger = TensorBoard(folder, CONFIG)
    logger.scalars({"train/loss/total": 0.5}, 1, 0)
    logger.scalars({"valid/iou/car": 0.5, "valid/iou/sky": 0.25, "valid/miou": 0.375}, 1, 0)
    logger.close("finished")
    found = EventAccumulator(str(folder / "tensorboard"))
    found.Reload()
    return found


def content(found: EventAccumulator, tag: str, plugin: str) -> bytes:
    return found.PluginTagToContent(plugin)[tag]


def test_classes_share_a_chart_per_score_and_losses_one(tmp_path: Path) -> None:
    found = board(tmp_path)
    (event,) = found.Tensors("custom_scalars__config__")
    layout = Layout.FromString(event.tensor_proto.string_val[0])
    charts = {chart.title: list(chart.multiline.tag) for part in layout.category for chart in part.chart}
    assert [tag for tag in ("valid/iou/car", "valid/iou/sky", "valid/miou") if re.match(charts["IoU"][0], tag)] == [
        "valid/iou/car",
        "valid/iou/sky",
    ]
    assert set(charts) == {"IoU", "training and validation"}, "a chart without a curve"
    (both,) = charts["training and validation"]
    assert all(re.match(both, f"{split}/loss/total") for split in ("train", "valid"))


def test_each_kind_of_score_per_class_has_a_chart(tmp_path: Path) -> None:
    names = ["valid/pck", "valid/pck/neck", "valid/epe/neck", "valid/loss/total", "valid/loss/heatmap", "train/a/b"]
    assert charts(names)["classes"] == {"PCK": ["Multiline", ["valid/pck/"]], "epe": ["Multiline", ["valid/epe/"]]}
    assert set(charts(["valid/psnr", "valid/loss/total"])) == {"loss"}


def test_settings_and_scores_are_in_the_table_of_hyperparameters(tmp_path: Path) -> None:
    found = board(tmp_path)
    start = HParamsPluginData.FromString(content(found, "_hparams_/session_start_info", "hparams")).session_start_info
    assert set(start.hparams) == {"seed", "trainer.max_steps", "optimizer.lr", "model._target_"}
    assert start.hparams["optimizer.lr"].number_value == 0.1
    experiment = HParamsPluginData.FromString(content(found, "_hparams_/experiment", "hparams")).experiment
    assert [info.name.tag for info in experiment.metric_infos] == ["valid/miou", "valid/loss/total"]
