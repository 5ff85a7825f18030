"""The library that counts COCO's scores: hotcoco if it is installed, else pycocotools. Their arrays are equal.

hotcoco (MIT, https://github.com/derekallman/hotcoco) is written in Rust; the extra `coco` installs it. Its precision
and recall are those of pycocotools in every bit. faster-coco-eval differs in the last one.

hotcoco counts in threads that stay. A fork of a process does not have them and would wait for them without end, so
pycocotools counts there.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from contextlib import redirect_stdout
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from densepred.errors import Notice, Remark

OLDEST = (1, 3)
"""The first release of hotcoco that was compared with pycocotools."""


class _Threads:
    """The process that has started the threads of hotcoco."""

    process: int | None = None


@dataclass(frozen=True, slots=True)
class Engine:
    """Two classes in the form of pycocotools."""

    index: Callable[[dict[str, Any]], Any]  # a dataset in the form of COCO's JSON
    evaluation: Callable[..., Any]  # of two of them


def count(
    truth: dict[str, Any], found: dict[str, Any], kind: str, params: dict[str, Any]
) -> tuple[np.ndarray, np.ndarray]:
    """Match and count. Returns precision (T, R, K, A, M) and recall (T, K, A, M); `params` are COCOeval's."""
    numbers = [(entry["score"], entry["area"], *entry["bbox"]) for entry in found["annotations"]]
    # The libraries match what is no number differently, so that pycocotools counts it alone.
    engine = chosen() if np.isfinite(np.array(numbers)).all() else pycocotools()
    with redirect_stdout(None):  # pycocotools reports its progress by print
        evaluation = engine.evaluation(engine.index(truth), engine.index(found), kind)
        for name, value in params.items():
            setattr(evaluation.params, name, value)
        evaluation.evaluate()
        evaluation.accumulate()
    return np.asarray(evaluation.eval["precision"]), np.asarray(evaluation.eval["recall"])


def chosen() -> Engine:
    """Return hotcoco, with a notice that names it, or pycocotools where it is missing, too old or cannot count."""
    try:
        release = version("hotcoco")
    except PackageNotFoundError:
        return pycocotools()
    if tuple(map(int, release.split(".")[:2])) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        text = f"hotcoco {release} is installed, but {oldest} or later is needed: pycocotools counts average precision"
        warnings.warn(f"{text}; pip install 'densepred[coco]'", Notice, stacklevel=2)
        return pycocotools()
    if _Threads.process not in (None, os.getpid()):
        text = "average precision is counted by pycocotools: this process is a fork of one in which hotcoco has counted"
        warnings.warn(text, Remark, stacklevel=2)
        return pycocotools()
    warnings.warn(f"average precision is counted by hotcoco {release}, as pycocotools counts it", Remark, stacklevel=2)
    return hotcoco()


def hotcoco() -> Engine:
    from hotcoco import COCO, COCOeval

    _Threads.process = os.getpid()
    return Engine(COCO, COCOeval)


def pycocotools() -> Engine:
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    def index(dataset: dict[str, Any]) -> COCO:
        api: Any = COCO()
        api.dataset = dataset
        api.createIndex()
        return api

    return Engine(index, COCOeval)
