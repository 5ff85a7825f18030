"""Forms of annotation programs that no dataset reads, and the export of the same program that one does."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from densepred.dataset.layout_tree import FRACTIONS, Found, Tree

COCO = "and type dataset=coco_instances"
SEVERAL = 50
"""Files of a kind that are opened at most."""


def layouts(tree: Tree) -> Iterator[Found]:
    """Yield the forms in a folder, with what to export instead."""
    for fits, what, remedy in FORMS:
        if fits(tree):
            yield Found(f"{what}, which no dataset reads", f"export {remedy}", read=False)


def polygons_in_xml(tree: Tree) -> bool:
    """Look at the first XML file for polygons without boxes, as the LabelMe of MIT writes them."""
    first = next((name for name in tree.files if name.endswith(".xml")), None)
    text = b"" if first is None else tree.beginning(first)
    return b"<annotation" in text and b"<polygon>" in text and b"<bndbox>" not in text


def _brushes(tree: Tree) -> bool:
    return tree.any(r"(.*/)?task-\d+-annotation-\d+.*\.(png|npy)")


def _cellpose(tree: Tree) -> bool:
    """Look for cellpose's `_seg.npy`, which hold pickles, without masks beside them."""
    first = next((name for name in tree.files if name.endswith("_seg.npy")), None)
    return first is not None and b"'|O'" in tree.beginning(first, 128) and not tree.any(r".*_masks\.(png|tiff?)")


def _superannotate(tree: Tree) -> bool:
    return tree.any(r".*___(objects|pixel)\.json") or _holds(tree, ".json", b'"instances"', b'"metadata"', b'"classId"')


def _qupath_project(tree: Tree) -> bool:
    return tree.any(r"(.*/)?(project\.qpproj|.*\.qpdata)")


def _createml(tree: Tree) -> bool:
    return _holds(tree, ".json", b'"coordinates"', b'"annotations"', b'"image"', without=b'"categories"')


def _holds(tree: Tree, end: str, *words: bytes, without: bytes | None = None) -> bool:
    """Look for a file of a kind that holds all words in its beginning, and not the one `without` which it is."""
    names = [name for name in tree.files if name.lower().endswith(end)][:SEVERAL]
    texts = (tree.beginning(name) for name in names)
    return any(all(word in text for word in words) and (without is None or without not in text) for text in texts)


def _json(*words: bytes, end: str = ".json") -> Callable[[Tree], bool]:
    return lambda tree: _holds(tree, end, *words)


def _csv(tree: Tree) -> bool:
    """Look for a table with a line per box."""
    names = [name for name in tree.files if name.lower().endswith(".csv")][:SEVERAL]
    lines = (tree.beginning(name, 4096).split(b"\n", 1)[0].lower() for name in names)
    return any(re.search(rb"xmin\W+ymin\W+xmax\W+ymax", line) for line in lines)


def _makesense(tree: Tree) -> bool:
    """Look for a table of boxes without a heading: label, four numbers, the image, its width and height."""
    names = [name for name in tree.files if name.lower().endswith(".csv")][:SEVERAL]
    lines = (tree.beginning(name, 4096).split(b"\n", 1)[0].strip() for name in names)
    return any(re.fullmatch(rb"[^,]*(,-?\d+(\.\d+)?){4},[^,]+\.\w+,\d+,\d+", line) for line in lines)


FORMS: tuple[tuple[Callable[[Tree], bool], str, str], ...] = (
    (_brushes, "Label Studio's export of brushes as PNG files", "as JSON, and type dataset=label_studio"),
    (
        lambda tree: tree.any(r"(.*/)?[^/]*_label_[\w-]+_instance_colored\.png"),
        "objects in colours of Segments.ai, of which several are equal",
        "ids (in Python: segments.utils.export_dataset(dataset, export_format='instance')), and type "
        "dataset=instance_folder",
    ),
    (
        lambda tree: tree.any(r"(.*/)?labelTxt/[^/]+\.txt"),
        "DOTA's turned boxes",
        f"polygons as COCO, {COCO}",
    ),
    (
        lambda tree: tree.any(r"(.*/)?[\w-]*annotations-bbox\.csv"),
        "Open Images' CSV",
        f"as COCO (datum convert -i DIR -if open_images -f coco_instances -o NEW -- --save-media), {COCO}",
    ),
    (
        polygons_in_xml,
        "the XML form of MIT's LabelMe",
        "as COCO (datum convert -i DIR -if label_me -f coco_instances -o NEW -- --save-media), and type "
        "dataset=coco_instances",
    ),
    (
        _cellpose,
        "cellpose's _seg.npy, a pickle",
        "the masks as PNG (Ctrl+N in its window), and type dataset=instance_folder dataset.images=. dataset.masks=. "
        f"dataset.mask_suffix=_cp_masks {FRACTIONS}",
    ),
    (
        _superannotate,
        "SuperAnnotate's JSON",
        "as COCO (in Python: superannotate.export_annotation('DIR', 'NEW', 'COCO', 'all', 'Vector', "
        f"'instance_segmentation')), {COCO}",
    ),
    (_json(b'"data_units"', b'"label_hash"'), "Encord's JSON", f"as COCO, {COCO}"),
    (_json(b'"label_classes"', b'"export_format_version"'), "Hasty's JSON", f"as COCO, {COCO}"),
    (_json(b'"jsonResponse"'), "Kili's JSON", f"as COCO (kili.export_labels(..., fmt='coco')), {COCO}"),
    (
        _json(b'"labelsets"', b'"samples"', b'"task_type"'),
        "a release of Segments.ai",
        f"as COCO (in Python: segments.utils.export_dataset(dataset, export_format='coco-instance')), {COCO}",
    ),
    (
        lambda tree: _holds(tree, "json", b'"data_row"') or _holds(tree, ".json", b'"DataRow ID"'),
        "Labelbox's JSON",
        f"as COCO by a converter of your choice, for Labelbox writes no other form, {COCO}",
    ),
    (
        _json(b'"media_type"', b'"items"', b'"categories"'),
        "Datumaro's JSON",
        f"as COCO (datum convert -i DIR -if datumaro -f coco_instances -o NEW -- --save-media), {COCO}",
    ),
    (
        _qupath_project,
        "a project of QuPath",
        "the objects of each image (File, Object data, Export as GeoJSON), beside the images, and type dataset=qupath",
    ),
    (
        lambda tree: tree.any(r"(.*/)?mpii_human_pose_v1_u12_\d\.mat"),
        "MPII's MATLAB file",
        "it as HRNet's JSON (annot/train.json, annot/valid.json, which HRNet and MMPose offer), and type dataset=mpii",
    ),
    (
        _json(b'"datasetId"', b'"annotations"', b'"coordinates"'),
        "Dataloop's JSON",
        f"as COCO (in Python: dtlpy.Converter().convert_dataset(dataset, to_format='coco', local_path='NEW')), {COCO}",
    ),
    (
        _json(b'"task_id"', b'"response"', b'"annotations"'),
        "tasks of Scale AI",
        f"as COCO by a converter of your choice, for Scale writes its own JSON alone, {COCO}",
    ),
    (
        _makesense,
        "Make Sense's CSV of boxes",
        "the boxes as files in VOC XML format (Actions, Export Annotations), and type dataset=voc_detection",
    ),
    (_createml, "CreateML's JSON", f"as COCO, {COCO}"),
    (_csv, "a CSV table of boxes", f"as COCO, {COCO}"),
    (lambda tree: tree.any(r".*\.(tfrecords?|record)"), "TFRecord files", f"as COCO, {COCO}"),
)
