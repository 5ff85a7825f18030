"""OpenPose's COCO model as github.com/Hzzone/pytorch-openpose saves it, for model=openpose model.bgr=true.

Needs task.codec.limbs=openpose. The port has a ReLU after its last heatmaps, because its list of layers without one
names the layer of the fields twice. The authors' network has none there, and neither has ours.
"""

NAME = "OpenPose body (pytorch-openpose)"
MARKS = (r"(?:model0\.)?conv4_4_CPM\.weight", r"(?:model6_2\.)?Mconv7_stage6_L2\.bias")
_VGG = {"1_1": 0, "1_2": 2, "2_1": 5, "2_2": 7, "3_1": 10, "3_2": 12, "3_3": 14, "3_4": 16, "4_1": 19, "4_2": 21}
_BRANCHES = {1: "paf", 2: "heatmap"}
_PLACES = (
    *((rf"conv{name}", f"encoder.body.features.{place}") for name, place in _VGG.items()),
    *((rf"conv4_{3 + i}_CPM", f"features.{i}.0") for i in (0, 1)),
    *(
        (rf"conv5_{1 + i}_CPM_L{branch}", f"stages.0.branches.{head}.{i}{'' if i == 4 else '.0'}")
        for branch, head in _BRANCHES.items()
        for i in range(5)
    ),
    *(
        (rf"Mconv{1 + i}_stage{1 + stage}_L{branch}", f"stages.{stage}.branches.{head}.{i}{'' if i == 6 else '.0'}")
        for stage in range(1, 6)
        for branch, head in _BRANCHES.items()
        for i in range(7)
    ),
)
RULES = tuple((rf"(?:model\d(?:_\d)?\.)?{name}\.(weight|bias)", rf"{place}.\1") for name, place in _PLACES)
EXPECTS = {"bgr": True, "encoder.convolutions": 10, "encoder.batch_norm": False}
MEAN = (128 / 255,) * 3  # its input is x / 256 - 0.5
STD = (256 / 255,) * 3
