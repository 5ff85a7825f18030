"""The splits of a dataset, as far as they can be built; what stands in the way becomes findings."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

from densepred.cli.note import say
from densepred.contracts import Dataset
from densepred.errors import Misfit, Notice, UserError
from densepred.inspection import masks, other_layout
from densepred.inspection.finding import Finding
from densepred.inspection.masks import Read
from densepred.jobs import parts

SPLITS = ("train", "valid", "test")
SKIPPED = re.compile(r"dataset\.unpaired=skip")
"""Part of the notices about files without a partner, which a finding gives already."""


@dataclass(slots=True)
class Built:
    """The splits that could be built from `node`, the settings of the dataset that read them."""

    node: dict[str, Any]
    data: dict[str, Dataset] = field(default_factory=dict)
    findings: list[Finding] = field(default_factory=list)
    table: dict[str, Any] | None = None  # classes.json for masks in colours


def built(node: Mapping[str, Any], read: Read) -> Built:
    """Build the splits. If another layout is there, files lack a partner or masks are refused, go on with the remedy.

    Findings give these faults and settings.
    """
    found = Built(dict(node))
    alone = dict[str, UserError]()
    with noted(found.findings):
        errors = _build(found)
        other = None if found.data else other_layout.followed(found.node, errors.get("train"))
        if other is not None:
            found.node, fault = other
            found.findings.append(fault)
            say(f"read as {fault.override}, because {fault.fact.partition('; ')[0]}")  # this may take long
            errors = _build(found)
        if found.node.get("unpaired") == "refuse":
            alone = {split: error for split, error in errors.items() if _unpaired(error)}
        if alone:
            found.node["unpaired"] = "skip"
            errors = _build(found)
        # Labels are those of training masks: where these are read, another split is refused for another reason
        refused = [] if "train" in found.data else [error for error in errors.values() if _of_masks(error)]
        if refused and (cure := masks.survey(found.node, SPLITS, read)) is not None:
            found.node |= cure.settings
            found.table = cure.table
            found.findings += [cure.finding()] if cure.kind else []
            errors = _build(found)
    if alone:
        found.findings = [one for one in found.findings if one.kind != "notice" or not SKIPPED.search(one.fact)]
    every = [*alone.items(), *errors.items()]
    found.findings += _merged(_refused(split, error) for split, error in every)
    return found


@contextmanager
def noted(findings: list[Finding]) -> Iterator[None]:
    """Turn the notices that are issued meanwhile into findings, each once."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", Notice)
        yield
    texts = dict.fromkeys(str(one.message) for one in caught if issubclass(one.category, Notice))
    for text in texts:
        fact, _, remedy = text.rpartition("; ")
        if remedy[:1].isdigit():  # one more count
            fact = ""
        findings.append(Finding("note", "notice", fact or text, remedy if fact else "see that this is so"))
    for one in caught:
        if not issubclass(one.category, Notice):
            warnings.warn_explicit(one.message, one.category, one.filename, one.lineno)


def _build(found: Built) -> dict[str, UserError]:
    """Set the splits that can be built; return the errors of the others. White is that of training, as in a run."""
    errors: dict[str, UserError] = {}
    found.data, node = {}, found.node
    for split in SPLITS:
        try:
            data = parts.dataset(node, split)
        except UserError as error:
            errors[split] = error
            continue
        if split == "train":
            node = parts.read_as_trained(node, {"max_value": data.info.max_value})
        if len(data):
            found.data[split] = data
        else:
            errors[split] = Misfit(f"dataset.splits.{split}: has no image; check its path", "empty_split")
    return errors


def _unpaired(error: UserError) -> bool:
    return isinstance(error, Misfit) and error.cause == "unpaired"


def _of_masks(error: UserError) -> bool:
    """Return False if files are absent or without partners: then no mask was read."""
    return not isinstance(error, Misfit) or error.cause not in ("unpaired", "empty_split", "no_files")


def _merged(findings: Iterable[Finding]) -> list[Finding]:
    """Join the findings of several splits that have one remedy; files of all splits in one folder are named once."""
    found = dict[str, Finding]()
    for one in findings:
        first = found.get(one.remedy)
        if first is None:
            found[one.remedy] = one
            continue
        if one.kind == "layout":  # one root has one layout
            continue
        split, _, text = one.fact.partition(": ")
        alike = re.fullmatch(r"(\w+(?:, \w+)*)" + re.escape(f": {text}"), first.fact)
        fact = f"{alike[1]}, {split}: {text}" if alike else f"{first.fact}; {one.fact}"
        found[one.remedy] = replace(first, fact=fact, samples=tuple(dict.fromkeys((*first.samples, *one.samples))))
    return list(found.values())


def _refused(split: str, error: UserError) -> Finding:
    fact, _, remedy = str(error).rpartition("; ")
    kind = error.cause if isinstance(error, Misfit) else "refused"
    if split == "test" and kind in ("refused", "layout", "no_files", "no_fraction", "empty_split"):
        return Finding("note", "no_test", f"{split}: {fact or remedy}", remedy)
    names = error.names if isinstance(error, Misfit) else ()
    level = "warning" if split == "test" else "error"  # training reads no test images
    return Finding(level, kind, f"{split}: {fact or remedy}", remedy, names)
