"""ResNet (arXiv 1512.03385): torchvision's bodies, optionally with strides traded for dilations."""

from __future__ import annotations

from typing import cast

import torch.nn.functional as F
from torch import Tensor, nn
from torchvision.models import get_model_weights, resnet

from densepred.contracts import Encoder
from densepred.nn import BatchNorm2d, adapt_input, adapt_statistics, choose
from densepred.types import Pyramid, UserError

BUILDERS = {18: resnet.resnet18, 34: resnet.resnet34, 50: resnet.resnet50, 101: resnet.resnet101}
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class ResNet(Encoder):
    """Five levels: the stem at stride 2 and the four stages. `body` has the keys of torchvision's classifiers."""

    def __init__(self, in_channels: int, depth: int = 34, output_stride: int = 32, pretrained: bool = False) -> None:
        super().__init__()
        choose("encoder.depth", depth, BUILDERS)
        choose("encoder.output_stride", output_stride, (8, 16, 32))
        self.body = BUILDERS[depth](weights=None, norm_layer=BatchNorm2d)
        wide = self.body.fc.in_features
        self.channels = (64, wide // 8, wide // 4, wide // 2, wide)
        self.body.fc = cast(nn.Linear, nn.Identity())
        self.strides = tuple(min(stride, output_stride) for stride in (2, 4, 8, 16, 32))
        self.pooled = (None,) * 5  # the stem's pooling overlaps: it cannot be undone
        if in_channels != 3:
            self.body.conv1 = nn.Conv2d(in_channels, 64, 7, 2, 3, bias=False)
            nn.init.kaiming_normal_(self.body.conv1.weight, mode="fan_out", nonlinearity="relu")
        if pretrained:
            self._load(f"resnet{depth}", in_channels)
        dilation = 1
        for stage, stride in ((self.body.layer3, 16), (self.body.layer4, 32)):
            if stride > output_stride:
                dilation = dilate(stage, dilation)

    def _load(self, name: str, in_channels: int) -> None:
        try:
            state = dict(get_model_weights(name)["DEFAULT"].get_state_dict(progress=False, check_hash=True))
        except OSError as error:
            raise UserError(
                f"the weights of {name} cannot be downloaded: {error}; set encoder.pretrained=false or name a file "
                "by weights.encoder"
            ) from error
        state["conv1.weight"] = adapt_input(state["conv1.weight"], in_channels)
        self.body.load_state_dict({key: value for key, value in state.items() if not key.startswith("fc.")})
        self.mean, self.std = adapt_statistics(MEAN, in_channels), adapt_statistics(STD, in_channels)

    def forward(self, image: Tensor) -> Pyramid:
        body = self.body
        x = body.relu(body.bn1(body.conv1(image)))
        features = [x]
        x = F.max_pool2d(x, 3, 2, 1)
        for stage in (body.layer1, body.layer2, body.layer3, body.layer4):
            x = stage(x)
            features.append(x)
        return Pyramid(features, [None] * len(features))


def dilate(stage: nn.Sequential, before: int) -> int:
    """Trade a stage's stride for dilation, as torchvision's `replace_stride_with_dilation`; gives the new dilation.

    The first block keeps the dilation of the stage before. torchvision does so for bottlenecks only; here for all.
    """
    for i, block in enumerate(stage):
        rate = before if i == 0 else 2 * before
        for conv in (part for part in block.modules() if isinstance(part, nn.Conv2d)):
            conv.stride = (1, 1)
            if conv.kernel_size == (3, 3):
                conv.dilation = conv.padding = (rate, rate)
    return 2 * before
