"""Forms of annotation programs that no dataset reads, and the export of the same program that one does."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from densepred.dataset.layout_tree import Found, Tree


def layouts(tree: Tree) -> Iterator[Found]:
    """Yield the forms in a folder, with what to export instead."""
    for fits, what, remedy in FORMS:
        if fits(tree):
            yield Found(what, remedy, read=False)


def polygons_in_xml(tree: Tree) -> bool:
    """Look at the first XML file for polygons without boxes, as the LabelMe of MIT writes them."""
    first = next((name for name in tree.files if name.endswith(".xml")), None)
    text = b"" if first is None else tree.beginning(first)
    return b"<annotation" in text and b"<polygon>" in text and b"<bndbox>" not in text


def _brushes(tree: Tree) -> bool:
    return tree.any(r"(.*/)?task-\d+-annotation-\d+.*\.(png|npy)")


FORMS: tuple[tuple[Callable[[Tree], bool], str, str], ...] = (
    (_brushes, "Label Studio's export of brushes as PNG files", "as JSON, and type dataset=label_studio"),
    (
        polygons_in_xml,
        "the XML form of MIT's LabelMe",
        "as COCO (datum convert -i DIR -if label_me -f coco_instances -o NEW -- --save-media), and type "
        "dataset=coco_instances",
    ),
)
