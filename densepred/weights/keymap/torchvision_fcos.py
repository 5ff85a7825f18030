"""torchvision's fcos_resnet50_fpn, for model=fcos_resnet50 with task.codec.points=corner.

The model needs upsample=nearest, which that preset sets. Its frozen batch norms are ours in evaluation mode. Its 91
classes are COCO's ids with gaps, so the convolution of the classes is not loaded for a dataset of other classes.
"""

NAME = "torchvision FCOS"
MARKS = (r"backbone\.body\.conv1\.weight", r"backbone\.fpn\.extra_blocks\.p7\.bias", r"head\..+\.bbox_ctrness\.weight")
RULES = (
    (r"backbone\.body\.(.+)", r"encoder.body.\1"),
    *((rf"backbone\.fpn\.inner_blocks\.{i}(?:\.0)?\.(weight|bias)", rf"decoder.laterals.{2 - i}.\1") for i in range(3)),
    *((rf"backbone\.fpn\.layer_blocks\.{i}(?:\.0)?\.(weight|bias)", rf"decoder.smooth.{2 - i}.0.\1") for i in range(3)),
    (r"backbone\.fpn\.extra_blocks\.p6\.(.+)", r"decoder.extra.0.\1"),
    (r"backbone\.fpn\.extra_blocks\.p7\.(.+)", r"decoder.extra.1.\1"),
    (r"head\.classification_head\.conv\.(.+)", r"towers.0.\1"),
    (r"head\.classification_head\.cls_logits\.(.+)", r"heads.class.\1"),
    (r"head\.regression_head\.conv\.(.+)", r"towers.1.\1"),
    (r"head\.regression_head\.bbox_reg\.(.+)", r"heads.distances.\1"),
    (r"head\.regression_head\.bbox_ctrness\.(.+)", r"heads.centerness.\1"),
)
EXPECTS = {
    "positive": "relu",
    "encoder.output_stride": 32,
    "decoder.extra_from": "decoder",
    "upsample": "nearest",
}
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)
