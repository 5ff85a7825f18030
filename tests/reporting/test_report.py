"""A report on runs on disk: its tables, its page and its card."""

from __future__ import annotations

import base64
import csv
import io
import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from densepred.commands import report
from densepred.errors import Notice, UserError
from densepred.reporting import page, svg
from tests import running
from tests.conftest import composed

HOSTILE = "<script>alert(1)</script>"


def draw(folder: Path, name: str, score: float, *overrides: str, evaluated: bool = True, classes: int = 2) -> None:
    """Write the files of a run, and of an evaluation of six images, as the commands do."""
    place = folder / "runs" / name
    place.mkdir(parents=True)
    best = {"step": 20, "miou": score, "iou/sky": score, f"iou/{HOSTILE}": None}
    summary = {"monitor": "miou", "mode": "max", "best": best, "parameters": 1234, "images_per_second": 10 * score}
    (place / "summary.json").write_text(json.dumps({**summary, "peak_memory_mb": 500, "seconds": 90.0}))
    lines = [{"step": step, "valid/miou": score * step / 20, "valid/loss/total": 1 / step} for step in (5, 10, 20)]
    (place / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (place / "overrides.txt").write_text("\n".join(overrides))
    if not evaluated:
        return
    out = folder / "evaluations" / name
    out.mkdir(parents=True)
    facts = {"checkpoint": str(place / "best.safetensors"), "split": "valid", "metrics": {"miou": score}}
    (out / "metrics.json").write_text(json.dumps(facts))
    right = {f"{n}.png": round(90 * score) + n for n in range(6)}
    hits = {name: [[0, 0, count], [0, 1, 110 - count], [1, 1, 50]] for name, count in right.items()}
    held = {"classes": ["sky", HOSTILE], "images": hits}
    (out / "per_image_confusion.json").write_text(json.dumps(held))
    draw_pictures(out, score)


def draw_pictures(evaluation: Path, score: float) -> None:
    """Write two pictures of worst images and their list, as densepred-eval does."""
    (evaluation / "pictures").mkdir()
    entries = []
    for number, image in enumerate(("0.png", HOSTILE), 1):
        Image.new("RGB", (1600, 400), (0, 90, 160)).save(evaluation / "pictures" / f"00{number}_x.png")
        entries.append({"file": f"00{number}_x.png", "image": image, "metric": "miou", "score": score / number})
    (evaluation / "pictures" / "pictures.json").write_text(json.dumps(entries))


@pytest.fixture
def made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    draw(tmp_path, "a", 0.6, "loss=ce", "model=unet")
    draw(tmp_path, "b", 0.8, "loss=dice", "model=unet")
    draw(tmp_path, "c", 0.7, "loss=dice", "model=unet", "seed=1", evaluated=False)
    assert run(tmp_path) == 0
    return tmp_path / "out"


def run(folder: Path, *words: str) -> int:
    given = (f"runs={folder / 'runs'}", f"evaluations={folder / 'evaluations'}", f"output={folder / 'out'}")
    return report.report(composed(*given, *words, name="report"))


def test_the_table_is_sorted_by_score_and_full(made: Path) -> None:
    rows = list(csv.DictReader((made / "runs.csv").open()))
    assert [row["run"] for row in rows] == ["b", "c", "a"]
    assert rows[0] | {"iou/sky": "0.8", "minutes": "1.5", "overrides that differ": "loss=dice"} == rows[0]
    assert rows[1]["overrides that differ"] == "loss=dice seed=1"
    text = (made / "report.md").read_text()
    assert "| loss=dice | 2 | 0.7500 | 0.0707 | 0.7000 | 0.8000 |" in text
    assert "b is better than a by" in text
    assert "No confusion matrix, significance test or worst images of c: type densepred-eval" in text
    assert re.search(r"## Worst images of a \(valid, best\)\n\n.*\n.*\n\| 0.png \|", text)


class Reader(HTMLParser):
    """Counts elements, and keeps their attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def test_the_page_stands_alone_and_text_of_runs_is_escaped(made: Path) -> None:
    text = (made / "index.html").read_text()
    assert HOSTILE not in text
    assert "&lt;script&gt;" in text
    reader = Reader()
    reader.feed(text)
    tags = [tag for tag, _ in reader.found]
    assert tags.count("script") == 1
    assert not [attrs for tag, attrs in reader.found if tag == "script" and "src" in attrs]
    pictures = [attrs for tag, attrs in reader.found if tag == "img"]
    assert len(pictures) == 4  # two of each evaluation
    assert all(str(attrs["src"]).startswith("data:image/jpeg;base64,") for attrs in pictures)
    assert [attrs["href"] for tag, attrs in reader.found if tag == "link"] == ["data:,"]
    assert "http" not in re.sub(r"http://www\.w3\.org/\S+", "", text)
    charts = [attrs for tag, attrs in reader.found if tag == "svg"]
    assert len(charts) == 6  # two curves, classes, Pareto, two matrices
    assert all(attrs["role"] == "img" and attrs["aria-label"] for attrs in charts)
    assert "viewport" in text


def test_pictures_are_small_and_have_name_and_score(made: Path) -> None:
    reader = Reader()
    reader.feed((made / "index.html").read_text())
    first, second = [attrs for tag, attrs in reader.found if tag == "img"][:2]
    assert first["alt"] == "0.png: miou 0.8000: image, ground truth, prediction and errors"
    assert str(second["alt"]).startswith(f"{HOSTILE}: miou 0.4000")
    with Image.open(io.BytesIO(base64.b64decode(str(first["src"]).partition(",")[2]))) as picture:
        assert picture.size == (1000, 250)
        assert picture.getpixel((500, 100))[2] == pytest.approx(160, abs=3)  # type: ignore[index]


def test_a_damaged_picture_is_named_and_left_out(tmp_path: Path) -> None:
    draw(tmp_path, "a", 0.6)
    (tmp_path / "evaluations" / "a" / "pictures" / "001_x.png").write_bytes(b"none")
    with pytest.warns(Notice, match=r"001_x\.png: cannot be read as an image .* left out of the report"):
        assert run(tmp_path) == 0
    assert (tmp_path / "out" / "index.html").read_text().count("<img") == 1


def test_tasks_without_class_maps_list_the_images_that_were_drawn(tmp_path: Path) -> None:
    for name in ("a", "b"):
        draw(tmp_path, name, 0.6)
        (tmp_path / "evaluations" / name / "per_image_confusion.json").unlink()
    shutil.rmtree(tmp_path / "evaluations" / "b" / "pictures")
    assert run(tmp_path) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "## Worst images of a (valid, best)\n\n| image | miou |\n| --- | --- |\n| 0.png | 0.6000 |" in text
    assert "Worst images of b" not in text
    assert "No pictures of the worst images of b. Evaluations on crops of instances" in text


def test_limits_on_pictures_stand_in_the_notes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "MOST", 1)
    monkeypatch.setattr(page, "PICTURES", 1)
    draw(tmp_path, "a", 0.6)
    draw(tmp_path, "b", 0.7)
    assert run(tmp_path) == 0
    text = (tmp_path / "out" / "index.html").read_text()
    assert text.count("<img") == 1
    assert "Charts and pictures show the 1 best of 2 runs" in text
    assert "The page holds the 1 worst pictures per run" in text


def test_the_current_folder_has_its_name_and_one_run_is_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path, "a", 0.5)
    monkeypatch.chdir(tmp_path / "runs")
    assert run(tmp_path, "runs=.") == 0
    out = capsys.readouterr().out
    assert "1 run; written to" in out
    assert [line.split() for line in out.splitlines()[1:4:2]] == [["run", "metric", "score"], ["a", "miou", "0.5000"]]
    text = (tmp_path / "out" / "index.html").read_text()
    assert "<h1>Runs in runs</h1>" in text
    assert "1 run. Select" in text


@pytest.mark.parametrize("lines", [None, "", '{"step": 5, "train/loss/total": 0.5}\n'])
def test_runs_without_a_validation_are_named_everywhere(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], lines: str | None
) -> None:
    draw(tmp_path, "a", 0.6)
    stopped = tmp_path / "runs" / "recipe"
    stopped.mkdir()
    for name in ("config.yaml", "last.safetensors"):
        (stopped / name).touch()
    if lines is not None:
        (stopped / "metrics.jsonl").write_text(lines)
    assert run(tmp_path) == 0
    sentence = f"left out: {stopped} (no validation yet)"
    said = capsys.readouterr().out
    assert said.count(sentence) == 1
    assert "1 run; written" in said
    for name in ("report.md", "index.html"):
        assert (tmp_path / "out" / name).read_text().count(sentence) == 1
    shutil.rmtree(tmp_path / "runs" / "a")
    with pytest.raises(UserError, match=r"holds no complete run .*no validation yet"):
        run(tmp_path)


def test_damaged_and_missing_runs_are_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    draw(tmp_path, "a", 0.6)
    draw(tmp_path, "broken", 0.6)
    (tmp_path / "runs" / "broken" / "summary.json").unlink()
    (tmp_path / "evaluations" / "a" / "metrics.json").write_text("{}")
    assert run(tmp_path) == 0
    said = capsys.readouterr().out
    assert re.search(r"left out: \S+broken \(FileNotFoundError", said)
    assert re.search(r"left out: \S+metrics.json \(KeyError", said)
    assert "metrics.json (KeyError" in (tmp_path / "out" / "report.md").read_text()
    with pytest.raises(UserError, match="holds no complete run"):
        report.report(composed(f"runs={tmp_path / 'out'}", name="report"))
    for words, message in (([], "runs is not given"), (["card=true"], "ckpt is not given")):
        with pytest.raises(UserError, match=message):
            report.report(composed(*words, name="report"))


def test_the_card_holds_data_scores_and_licences_and_is_not_replaced_unasked(tmp_path: Path) -> None:
    assert running.train(tmp_path, "trainer.max_steps=1", "encoder.widths=[2,4]") == 0
    words = ("card=true", f"ckpt={tmp_path}", "license=apache-2.0")
    assert report.report(composed(*words, name="report")) == 0
    text = (tmp_path / "README.md").read_text()
    assert text.startswith('---\nlicense: "apache-2.0"\nlibrary_name: "densepred"\npipeline_tag: "image-segmentation"')
    assert "| training data | not stated |" in text
    assert "| classes | background, disc," in text
    assert "| pixel_accuracy |" in text
    assert "| epoch |" not in text
    assert text.count("| step |") == 1  # a fact of the model, no score
    with pytest.raises(UserError, match=r"README\.md: exists already; type overwrite=true"):
        report.report(composed(*words, name="report"))
    other = ("card=true", f"ckpt={tmp_path / 'last.safetensors'}", f"output={tmp_path / 'last.md'}")
    assert report.report(composed(*other, name="report")) == 0
    assert "Weights of step 1.\n\nThis file holds no scores" in (tmp_path / "last.md").read_text()


def test_ticks_are_round_and_inside() -> None:
    assert svg.ticks(0.0, 1.0) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert svg.ticks(-3.0, 120.0) == pytest.approx([0, 50, 100])
    for low, high in ((0.123, 0.1234), (5.0, 5e6)):
        found = svg.ticks(low, high)
        assert 2 <= len(found) <= 8
        assert low <= found[0] <= found[-1] <= high


def test_shares_of_a_matrix_are_of_the_true_class() -> None:
    drawn = svg.matrix(np.array([[3, 1, 0], [0, 0, 4]]), ["a", "b"], "t")
    assert "a as b: 25.0% (1 pixels)" in drawn
    assert "b as void: 100.0% (4 pixels)" in drawn


def test_jobs_of_a_sweep_are_named_by_their_overrides(tmp_path: Path) -> None:
    draw(tmp_path, "0", 0.6, "loss=ce", "model=unet")
    draw(tmp_path, "1", 0.7, "loss=dice", "model=unet")
    assert run(tmp_path) == 0
    text = (tmp_path / "out" / "index.html").read_text()
    assert "</span>job 1: loss=dice</li>" in text
    assert '<option value="0">job 1: loss=dice</option>' in text
    assert (tmp_path / "out" / "runs.csv").read_text().startswith("run,metric,score,overrides that differ,parameters")


def test_runs_without_repeated_seeds_are_listed_with_their_overrides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    draw(tmp_path, "0", 0.6, "loss=ce", "model=unet")
    assert run(tmp_path) == 0
    assert "overrides" not in capsys.readouterr().out
    draw(tmp_path, "1", 0.8, "loss=dice", "model=unet")
    assert run(tmp_path) == 0
    assert re.search(r"job 1 +loss=dice +miou +0\.8", capsys.readouterr().out)
    texts = [(tmp_path / "out" / name).read_text() for name in ("report.md", "index.html")]
    assert not any("Seeds" in text for text in texts)


def test_runs_of_different_tasks_keep_their_scores_per_class_apart(tmp_path: Path) -> None:
    draw(tmp_path, "a", 0.6)
    draw(tmp_path, "b", 0.4)
    file = tmp_path / "runs/b/summary.json"
    other = {"monitor": "ap", "best": {"step": 20, "ap": 0.4, "ap/sky": 0.3, "ap/cat": 0.5}}
    file.write_text(json.dumps({**json.loads(file.read_text()), **other}))
    assert run(tmp_path) == 0
    rows = {row["run"]: row for row in csv.DictReader((tmp_path / "out" / "runs.csv").open())}
    assert (rows["a"]["iou/sky"], rows["a"]["ap/sky"], rows["a"]["ap/cat"]) == ("0.6", "", "")
    assert (rows["b"]["iou/sky"], rows["b"]["ap/sky"], rows["b"]["ap/cat"]) == ("", "0.3", "0.5")
    html = (tmp_path / "out" / "index.html").read_text()
    assert "iou per class" in html
    assert "ap per class" in html


def test_a_note_on_all_runs_names_none_and_a_single_point_is_no_first_curve(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in "abc":
        draw(tmp_path, name, 0.6, f"seed={ord(name)}", evaluated=False)
        path = tmp_path / "runs" / name / "metrics.jsonl"
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        last = next(line for line in reversed(lines) if any(key.startswith("valid/") for key in line))
        losses = [{"step": step, "epoch": 0, "train/loss/total": 1.0 / step} for step in (1, 2, 3)]
        path.write_text("".join(f"{json.dumps(line)}\n" for line in (*losses, last)))
    assert run(tmp_path) == 0
    text = (tmp_path / "out" / "report.md").read_text()
    assert "worst images of any of the 3 runs: type densepred-eval" in text
    page = (tmp_path / "out" / "index.html").read_text()
    options = re.findall(r"<option[^>]*>([^<]+)</option>", page)
    assert options.index("train/loss/total") < next(i for i, one in enumerate(options) if one.startswith("valid/"))
