"""Names and shapes of the tensors in official HRNet checkpoints, spelled out layer by layer.

`digest` of them was compared with the `state_dict` of the official networks: `seg_hrnet.py` of
HRNet-Semantic-Segmentation and `pose_hrnet.py` of deep-high-resolution-net.pytorch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

Shapes = dict[str, tuple[int, ...]]

SEGMENTATION = {
    18: "c0feef513a66eb045b7fd88362bc4ba5a6a37508823d0a819a2f0bc325d092da",
    32: "f91cd136517348a3ddb7bb3058bbb8b6a36e5e62cdb6221bbfc9b8df7b6c40ee",
    48: "4673ddc089f7a7b5f50520e8586abecc9ee2ea57d3473e5a3dbbe4bb32904297",
}
POSE = {
    18: "ee1c845d0e427b6610c1e681e796b0c3f1193fd54f5279e440e5a21360100864",
    32: "b6d62e0de98476dbb11d8f21a0e8eee317b85cfa26ad4c1de92104ec147f3071",
    48: "bf0c500246af9dc9f598cf6fef00a810c1893f02ceee09220b050057251c3295",
}


def digest(shapes: Mapping[str, tuple[int, ...]]) -> str:
    lines = [f"{name} {tuple(shape)}" for name, shape in sorted(shapes.items())]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def conv(conv_name: str, norm_name: str, before: int, after: int, kernel: int) -> Shapes:
    """A convolution without bias and its norm."""
    shapes: Shapes = {f"{conv_name}.weight": (after, before, kernel, kernel), f"{norm_name}.num_batches_tracked": ()}
    for part in ("weight", "bias", "running_mean", "running_var"):
        shapes[f"{norm_name}.{part}"] = (after,)
    return shapes


def trunk(width: int, single: bool) -> Shapes:
    """Everything before the head."""
    shapes: Shapes = {**conv("conv1", "bn1", 3, 64, 3), **conv("conv2", "bn2", 64, 64, 3)}
    shapes |= conv("layer1.0.downsample.0", "layer1.0.downsample.1", 64, 256, 1)
    for k in range(4):
        at = f"layer1.{k}"
        shapes |= conv(f"{at}.conv1", f"{at}.bn1", 64 if k == 0 else 256, 64, 1)
        shapes |= conv(f"{at}.conv2", f"{at}.bn2", 64, 64, 3) | conv(f"{at}.conv3", f"{at}.bn3", 64, 256, 1)
    shapes |= conv("transition1.0.0", "transition1.0.1", 256, width, 3)
    shapes |= conv("transition1.1.0.0", "transition1.1.0.1", 256, 2 * width, 3)
    shapes |= conv("transition2.2.0.0", "transition2.2.0.1", 2 * width, 4 * width, 3)
    shapes |= conv("transition3.3.0.0", "transition3.3.0.1", 4 * width, 8 * width, 3)
    for stage, modules in ((2, 1), (3, 4), (4, 3)):
        for m in range(modules):
            for b in range(stage):
                for k in range(4):
                    at, wide = f"stage{stage}.{m}.branches.{b}.{k}", width * 2**b
                    shapes |= conv(f"{at}.conv1", f"{at}.bn1", wide, wide, 3)
                    shapes |= conv(f"{at}.conv2", f"{at}.bn2", wide, wide, 3)
            last = single and stage == 4 and m == modules - 1
            for i in range(1 if last else stage):
                for j in range(stage):
                    at, source, target = f"stage{stage}.{m}.fuse_layers.{i}.{j}", width * 2**j, width * 2**i
                    if j > i:
                        shapes |= conv(f"{at}.0", f"{at}.1", source, target, 1)
                    for k in range(i - j):
                        wide = target if k == i - j - 1 else source
                        shapes |= conv(f"{at}.{k}.0", f"{at}.{k}.1", source, wide, 3)
    return shapes


def segmentation(width: int, classes: int = 19) -> Shapes:
    """HRNetV2 for semantic segmentation."""
    wide = 15 * width
    head: Shapes = {
        **conv("last_layer.0", "last_layer.1", wide, wide, 1),
        "last_layer.0.bias": (wide,),
        "last_layer.3.weight": (classes, wide, 1, 1),
        "last_layer.3.bias": (classes,),
    }
    return trunk(width, single=False) | head


def pose(width: int, keypoints: int = 17) -> Shapes:
    """HRNetV1 for pose."""
    head: Shapes = {"final_layer.weight": (keypoints, width, 1, 1), "final_layer.bias": (keypoints,)}
    return trunk(width, single=True) | head
