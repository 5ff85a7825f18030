"""Train and validate once in a plain loop of torch and torchvision, as its references do: what `bench_run.py` times.

One process, one thread. Prints a line after each step, and one after the validation. `unet` is the Unet of
segmentation_models.pytorch (extra `bench`) on a ResNet-34. `deeplabv3` is torchvision's on a ResNet-50 with its
auxiliary head. `hrnet` is HRNet-W18 of timm, which that extra brings, with the head of HRNetV2.

    python scripts/plain_loop.py --data DIR --model deeplabv3 --crop 256 --batch 4
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision import models, tv_tensors
from torchvision.transforms import v2

CLASSES, VOID, STRIDE = 11, 11, 32
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Pairs(Dataset[tuple[Tensor, Tensor]]):
    """Images beside masks of one split, read by Pillow."""

    def __init__(self, root: Path, split: str, transform: Any) -> None:
        self.images = sorted((root / "images" / split).iterdir())
        self.masks = sorted((root / "masks" / split).iterdir())
        self.transform = transform

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = tv_tensors.Image(Image.open(self.images[index]).convert("RGB"))
        mask = tv_tensors.Mask(torch.from_numpy(np.array(Image.open(self.masks[index]))))
        found = self.transform(image, mask)
        return found[0], found[1].long()


class Whole(nn.Module):
    """A network that takes only multiples of its stride, for any size."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        height, width = x.shape[-2:]
        return {"out": self.net(F.pad(x, (0, -width % STRIDE, 0, -height % STRIDE)))[..., :height, :width]}


class HRNetV2(nn.Module):
    """HRNet-W18 and the head of arXiv 1904.04514: branches enlarged to the finest, concatenated and mixed."""

    def __init__(self) -> None:
        super().__init__()
        import timm  # pyright: ignore[reportMissingImports], of an extra

        net: Any = timm.create_model("hrnet_w18", features_only=True, feature_location="")
        width = sum(net.feature_info.channels()[1:])
        self.net = net
        self.head = nn.Sequential(
            nn.Conv2d(width, width, 1), nn.BatchNorm2d(width), nn.ReLU(inplace=True), nn.Conv2d(width, CLASSES, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        finest, *others = self.net(x)[1:]
        enlarged = (F.interpolate(y, size=finest.shape[-2:], mode="bilinear") for y in others)
        return F.interpolate(self.head(torch.cat([finest, *enlarged], 1)), size=x.shape[-2:], mode="bilinear")


def model(name: str) -> nn.Module:
    if name == "deeplabv3":
        return models.segmentation.deeplabv3_resnet50(
            weights=None, weights_backbone=None, num_classes=CLASSES, aux_loss=True
        )
    if name == "hrnet":
        return Whole(HRNetV2())
    import segmentation_models_pytorch as smp  # pyright: ignore[reportMissingImports], of an extra

    return Whole(smp.Unet("resnet34", encoder_weights=None, classes=CLASSES))


def loss_of(outputs: dict[str, Tensor], target: Tensor) -> Tensor:
    """Return the loss of torchvision's references: the auxiliary head counts half."""
    losses = {name: F.cross_entropy(x, target, ignore_index=VOID) for name, x in outputs.items()}
    return losses["out"] + 0.5 * losses["aux"] if "aux" in losses else losses["out"]


def transforms(crop: int) -> tuple[Any, Any]:
    """Return those of training and of validation: scale, crop, mirror and colours, as `transform=default` has them."""
    ready = [v2.ToDtype({tv_tensors.Image: torch.float32, "others": None}, scale=True), v2.Normalize(MEAN, STD)]
    train = [
        v2.RandomResize(crop, 2 * crop),
        v2.RandomCrop(crop, pad_if_needed=True, fill={tv_tensors.Image: 0, tv_tensors.Mask: VOID}),
        v2.RandomHorizontalFlip(),
        v2.ColorJitter(0.2, 0.2, 0.2, 0.02),
    ]
    return v2.Compose([*train, *ready]), v2.Compose(ready)


def count(matrix: Tensor, target: Tensor, found: Tensor) -> None:
    """Add to a confusion matrix as torchvision's references do."""
    valid = target < CLASSES
    matrix += torch.bincount(CLASSES * target[valid] + found[valid], minlength=CLASSES**2).view(CLASSES, CLASSES)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True, help="folder with images/ and masks/ of train and val")
    parser.add_argument("--model", choices=("unet", "deeplabv3", "hrnet"), default="unet")
    parser.add_argument("--crop", type=int, default=256)
    parser.add_argument("--batch", type=int, default=4)
    args = parser.parse_args()
    torch.set_num_threads(1)
    train, valid = transforms(args.crop)
    network = model(args.model)
    optimizer = torch.optim.AdamW(network.parameters(), lr=1e-3)
    for image, target in DataLoader(Pairs(args.data, "train", train), args.batch, shuffle=True, drop_last=True):
        loss = loss_of(network(image), target)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"step {loss.item():.4f}", flush=True)
    network.eval()
    matrix = torch.zeros(CLASSES, CLASSES, dtype=torch.int64)
    with tempfile.TemporaryDirectory() as folder, torch.inference_mode():
        state = {"model": network.state_dict(), "optimizer": optimizer.state_dict()}
        torch.save(state, Path(folder, "checkpoint.pth"))
        for image, target in DataLoader(Pairs(args.data, "val", valid), 1):
            count(matrix, target.flatten(), network(image)["out"].argmax(1).flatten())
        union = matrix.sum(0) + matrix.sum(1) - matrix.diag()
        print(f"validated {(matrix.diag() / union.clamp(min=1)).mean():.4f}", flush=True)


if __name__ == "__main__":
    main()
