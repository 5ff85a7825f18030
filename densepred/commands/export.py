"""densepred-export: write a checkpoint as ONNX or as a program of torch.export, compared with the model."""

from __future__ import annotations

from omegaconf import DictConfig

from densepred.cli import command, compose
from densepred.eval import dataset_of_checkpoint
from densepred.rundir import override

EXAMPLES = """
densepred-export ckpt=RUN output=model.onnx                      raw heads, any batch, height and width
densepred-export ckpt=RUN output=model.onnx argmax=true          class ids at the size of the image
densepred-export ckpt=RUN output=model.onnx images=20            also metrics of file and model on 20 images
densepred-export ckpt=RUN output=model.onnx 'size=[512,1024]'    one size, for runtimes that need it
densepred-export ckpt=RUN output=model.pt2 probabilities=true    a program of torch.export
densepred-predict ckpt=model.onnx input=IMAGE                    through onnxruntime
"""


def main() -> None:
    command.run(export, "export", EXAMPLES, prepare=dataset_if_compared)


def dataset_if_compared(arguments: list[str]) -> list[str]:
    """Return the dataset of the checkpoint, as overrides, if its images are to be compared."""
    wanted = override.value(arguments, "images") not in (None, "0")
    return dataset_of_checkpoint(arguments) if wanted else []


def export(cfg: DictConfig) -> int:
    """Export; the exit code is 0, and 2 if the file's outputs differ from the model's."""
    settings = compose.settings(cfg)
    from densepred.jobs import export as job  # with torch, which --help does without

    return job.work(settings)


if __name__ == "__main__":
    main()
