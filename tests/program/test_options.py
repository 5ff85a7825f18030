"""Every option of every group trains a step with its smallest fitting companions, inside one process."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densepred.jobs import training
from tests import running
from tests.conftest import REPOSITORY

SMALL = (
    "data.batch_size=2",
    "trainer.max_steps=1",
    "trainer.valid_every=1000",
    "dataset.counts={train: 2, valid: 1, test: 1}",
)

# Six scenes hold at least one figure.
OPENPOSE = (
    *("encoder=plain", "encoder.widths=[4,8,8,8]", "model.width=8", "model.features=[8]", "model.first_hidden=8"),
    "dataset.counts={train: 2, valid: 6, test: 1}",
)

# Six scenes of each split hold at least one figure.
POSE = (
    *("task=pose", "model=encoder_decoder", "encoder=plain", "encoder.widths=[4,8,8,8]", "decoder=unet", "loss=mse"),
    *("data.crop=[32,32]", "dataset.counts={train: 6, valid: 6, test: 1}"),
)
HRNET_POSE = ("encoder.width=4", "data.crop=[32,32]", "dataset.counts={train: 6, valid: 6, test: 1}")

SIX_LEVELS = ("encoder=plain", "encoder.widths=[4,4,4,8,8,8]", "decoder.width=8")
FCOS = ("task=detection_fcos", *SIX_LEVELS, "model.depth=1")
CENTER = ("task=detection_center", *SIX_LEVELS, "model.hidden=8")

# What an option needs beside it to fit, or to be small. An option that is not named here must do without.
COMPANIONS: dict[str, tuple[str, ...]] = {
    "encoder/timm": ("encoder.name=resnet10t",),
    **{f"encoder/mit_b{i}": ("encoder.widths=[8,16,20,32]",) for i in range(6)},
    "encoder/vgg16_caffe": ("encoder.width=0.0625",),
    "encoder/vgg19": ("encoder.width=0.0625",),
    "encoder/vgg19_openpose": ("encoder.width=0.0625",),
    "task/openpose": OPENPOSE,
    "model/openpose": ("task=openpose", *OPENPOSE),
    "model/openpose_light": ("task=openpose", *OPENPOSE),
    "metric/grouping": ("task=openpose", *OPENPOSE),
    "model/panoptic_deeplab": (
        *("task=panoptic", "encoder.depth=18"),
        *("decoder.width=16", "model.value_decoder.width=8"),
    ),
    "model/panoptic_deeplab_light": ("task=panoptic",),
    "metric/panoptic_quality": ("task=panoptic",),
    "metric/mask_ap": ("task=instance_center",),
    "task/pose": POSE[1:],
    "transform/pose": POSE,
    "loss/ohkm": tuple(word for word in POSE if word != "loss=mse"),
    **{f"model/{name}": ("task=pose", *HRNET_POSE) for name in ("hrnet_pose", "hrnet_pose_w48", "hrnet_pose_small")},
    **{f"encoder/{name}": ("encoder.width=4",) for name in ("hrnet_pose_w32", "hrnet_pose_w48", "hrnet_pose_small")},
    "task/detection_fcos": FCOS[1:],
    "task/detection_center": CENTER[1:],
    **{f"model/{name}": FCOS for name in ("fcos", "fcos_light", "fcos_resnet50")},
    **{f"decoder/{name}": SIX_LEVELS for name in ("fpn_p7", "fpn_p7_light")},
    "model/fcos_hrnet": ("task=detection_fcos", "encoder.width=4", "decoder.width=8", "model.depth=1"),
    "model/center_detection": CENTER,
    "loss/sigmoid_focal": FCOS,
    "loss/center_focal": CENTER,
    "decoder/fpn_light": ("encoder=plain", "encoder.widths=[4,8,8,8]"),
    "decoder/hrnet_v2p_bare": ("encoder=plain", "encoder.widths=[4,8,8,8]"),
    "encoder/resnet101_os8": ("encoder.depth=18",),
    "encoder/resnet101_multigrid": ("encoder.depth=18",),
    "model/fcn": ("encoder.width=0.0625",),
    **{f"model/fcn{n}s": ("encoder.width=0.0625", "model.width=8") for n in (8, 16, 32)},
    **{f"model/{name}_resnet{n}": ("encoder.depth=18",) for name in ("fcn", "deeplabv3") for n in (50, 101)},
    "model/deeplabv3_multigrid": ("encoder.depth=18",),
    "model/deeplabv3plus": ("encoder.depth=18",),
    "decoder/fpn": ("encoder=plain", "encoder.widths=[4,8,8,8]"),
    "decoder/segformer": ("encoder=plain", "encoder.widths=[4,8,8,8]"),
    "decoder/upernet": ("encoder=plain", "encoder.widths=[4,8,8,8]"),
    "model/unet_first": ("model.width=4",),
    "upsample/unpool": ("encoder=plain", "encoder.widths=[4,8]"),
    "decoder/unetplusplus": (
        "encoder=plain",
        "encoder.widths=[4,8,8]",
        "model=unetplusplus",
        "model.deep_supervision=1",
    ),
    "decoder/code": ("encoder=plain", "encoder.widths=[4,8]"),
    "model/autoencoder": ("task=autoencoder", "encoder.widths=[4,8]"),
    "model/linear_autoencoder": ("task=autoencoder",),
    "model/pca": ("task=autoencoder",),
    "decoder/segnet": ("encoder=plain", "encoder.widths=[4,8]"),
    "decoder/hrnet_v1": ("encoder=plain", "encoder.widths=[4,8,8]"),
    "decoder/hrnet_v2": ("encoder=plain", "encoder.widths=[4,8,8,8]"),
    "decoder/hrnet_v2p": ("encoder=plain", "encoder.widths=[4,8,8,8]"),
    "encoder/hrnet_w32": ("encoder.width=4",),
    "encoder/hrnet_w48": ("encoder.width=4",),
    "model/hrnet_w32": ("encoder.width=4",),
    "model/hrnet_w48": ("encoder.width=4",),
    "loss/sum": ("+loss@loss.terms.a.loss=ce", "+loss@loss.terms.b.loss=topk"),
    "dataset/camvid": ("dataset.root=camvid", "data.crop=[32,32]"),
    "dataset/isbi": ("dataset.root=isbi", "data.crop=[32,32]"),
    "dataset/folder": ("dataset.root=isbi", "data.crop=[32,32]"),
    "dataset/instance_folder": ("dataset.root=nuclei", "data.crop=[32,32]"),
    "dataset/nuclei": ("dataset.root=nuclei", "data.crop=[32,32]"),
    "metric/box_ap": ("task=instance_center",),
    "metric/pck": ("task=openpose", *OPENPOSE, "trainer.monitor=pck"),
    "metric/keypoint_ap": ("task=openpose", *OPENPOSE, "trainer.monitor=ap"),
    "metric/calibration": ("trainer.monitor=ece",),
    "metric/em_segmentation": ("trainer.monitor=v_rand",),
    "metric/nuclei": ("task=instance_components",),
    "metric/trimap": ("trainer.monitor=trimap_miou/4",),
    "metric/reconstruction": ("task=autoencoder", "encoder.widths=[4,8]"),
    "metric/boundary_iou": ("trainer.monitor=boundary_iou",),
    "transform/resize": ("data.crop=[24,32]",),
    "experiment/camvid_unet": ("dataset.root=camvid", "data.crop=[32,32]", "encoder=resnet18"),
    "experiment/isbi_unet": ("dataset.root=isbi", "data.crop=[32,32]", "encoder.widths=[4,8]"),
    "experiment/upsampling_lab": ("dataset.counts={train: 2, valid: 1, test: 1}", "encoder.widths=[4,8]"),
    "experiment/isbi_unet_first": ("dataset.root=isbi", "data.crop=[32,32]", "model.width=4"),
    **{
        f"experiment/nuclei_{name}": ("dataset.root=nuclei", "data.crop=[32,32]", "encoder.widths=[4,8]")
        for name in ("components", "border", "center")
    },
    "experiment/shapes_fcos": ("dataset.counts={train: 2, valid: 1, test: 1}", "decoder.width=8"),
    "experiment/shapes_center": ("dataset.counts={train: 2, valid: 1, test: 1}", "decoder.width=8"),
    "experiment/shapes_unet": ("dataset.counts={train: 2, valid: 1, test: 1}", "encoder.widths=[4,8]"),
}
ELSEWHERE = {
    "dataset/voc": "its own tests make a tree",
    "dataset/mpii": "its own tests make a tree",
    "dataset/cityscapes": "its own tests make a tree",
    "dataset/cityscapes_panoptic": "its own tests make a tree",
    **{f"dataset/coco_{name}": "its own tests make a tree" for name in ("panoptic", "instances", "keypoints")},
    "experiment/coco_openpose": "of a COCO tree, which tests of its dataset make",
    "experiment/coco_panoptic_overfit": "of a COCO tree, which tests of its dataset make",
    "experiment/lspet_pose": "a folder of its own; its parts are tried on shapes, its data is not ours",
    "experiment/openfield_pose": "a folder of its own; its parts are tried on shapes, its data is not ours",
    "loss/mse": "for heads of values",
    "loss/l1": "for heads of values",
    "loss/giou": "of another head than the one that `loss` chooses; task/detection_fcos takes it",
    "loss/soft_bce": "of another head than the one that `loss` chooses; task/detection_fcos takes it",
    **{f"experiment/coco_{name}": "of a COCO tree" for name in ("fcos_fpn", "fcos_hrnet", "center")},
    "trainer/debug": "two steps where this test takes one",
}
"""Options that a semantic step on these datasets cannot run, and why."""


def options() -> list[str]:
    groups = (
        "task",
        "model",
        "encoder",
        "decoder",
        "upsample",
        "loss",
        "metric",
        "dataset",
        "transform",
        "optimizer",
        "scheduler",
    )
    files = [
        file
        for group in (*groups, "trainer", "experiment")
        for file in sorted((REPOSITORY / "configs" / group).glob("*.yaml"))
    ]
    return [f"{file.parent.name}/{file.stem}" for file in files]


def words(option: str) -> list[str]:
    group, _, name = option.partition("/")
    companions = list(COMPANIONS.get(option, ()))
    typed = {word.partition("=")[0] for word in companions}
    free = [word for word in SMALL if not (word.startswith("dataset.") and group in ("dataset", "experiment"))]
    chosen = [] if group == "model" or "encoder" in typed else _light(group)
    own = [word for word in chosen if word.partition("=")[0] not in typed]
    return [f"{group}={name}", *free, *own, *companions]


def _light(group: str) -> list[str]:
    """The lightest model that leaves the group under test free."""
    return [] if group in ("encoder", "experiment") else ["encoder.widths=[4,8]"]


@pytest.fixture(scope="module")
def trees(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Small folders in the form of camvid (colour, 11 classes and void), isbi (grey, 2 classes) and nuclei (ids)."""
    draw, root = np.random.default_rng(0), tmp_path_factory.mktemp("data")
    for name, maps, ids, shape in (
        ("camvid", "masks", 12, (40, 48, 3)),
        ("isbi", "masks", 2, (40, 48)),
        ("nuclei", "instances", 300, (40, 48, 3)),
    ):
        for split in ("train", "val"):
            for index in range(2):
                for kind, top, size in (("images", 256, shape), (maps, ids, shape[:2])):
                    path = root / name / kind / split / f"{index}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    values = draw.integers(0, top, size).astype(np.uint8 if top <= 256 else np.uint16)
                    Image.fromarray(values).save(path)
    return root


@pytest.mark.parametrize("option", [option for option in options() if option not in ELSEWHERE])
def test_an_option_trains_a_step(option: str, trees: Path, tmp_path: Path) -> None:
    given = [word.replace("dataset.root=", f"dataset.root={trees}/") for word in words(option)]
    assert training.work(running.bare_job(tmp_path, *given)) == 0
    assert (tmp_path / "best.safetensors").is_file()


def test_every_excuse_is_about_an_option_that_exists() -> None:
    assert set(ELSEWHERE) | set(COMPANIONS) <= set(options())
