"""Tables on the terminal."""

from __future__ import annotations

from densepred.rundir import console


def test_scores_of_classes_widths_and_wholes_stand_apart() -> None:
    values = {
        "miou": 0.75,
        "iou/car": 0.5,
        "iou/sky": 1.0,
        "trimap_miou/1": 0.25,
        "trimap_miou/16": None,
        "boundary_iou": 0.4,
        "boundary_iou/car": 0.3,
        "loss/total": 2.0,
    }
    lines = [line.split() for line in console.scores(values).splitlines()]
    assert ["class", "iou", "boundary_iou"] in lines
    assert ["car", "0.5000", "0.3000"] in lines
    assert ["sky", "1.0000", "-"] in lines
    assert ["at", "trimap_miou"] in lines
    assert ["16", "-"] in lines
    assert ["boundary_iou", "0.4000"] in lines
    assert ["loss/total", "2.0000"] in lines


def test_numbers_of_a_column_stand_with_their_points_below_each_other() -> None:
    values = {"iou/sky": 0.0939, "iou/pole": 0.000351, "iou/car": None, "iou/fog": 1e-7}
    rows = console.scores(values).splitlines()[2:]
    assert [row[row.index("  ", 3) :].strip(" ") for row in rows] == ["0.0939", "0.000351", "-", "1e-07"]
    assert rows[0].index(".") == rows[1].index(".")
    assert rows[2].index("-") == rows[3].index("1e") == rows[0].index(".") - 1


def test_as_many_names_as_fit_are_listed() -> None:
    names = ["road", "car", "tree"]
    assert console.few(names, 15) == "road, car, ..."
    assert console.few(names, 60) == "road, car, tree"
    assert console.few(["x" * 90, "y"], 60) == f"{'x' * 90}, ..."
