"""Categories of a labelled folder and classes of a model: which belong together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from nssa_gis.errors import UsageError
from nssa_gis.labels.frames import read_header
from nssa_gis.labels.table import Entry, Table, plain_name
from nssa_gis.labels.truth import ImageTruth


def class_of(classes: Mapping[str, Sequence[str]], category: str) -> int:
    """Index of the class that a category belongs to, -1 for none.

    Parameters
    ----------
    classes : mapping of str to sequence of str
        Class to its categories; case, blanks, ``-`` and ``_`` make no difference.
    category : str
        Name in the labels.
    """
    name = plain_name(category)
    return next((k for k, members in enumerate(classes.values()) if name in map(plain_name, members)), -1)


def parse_classes(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Read classes with their categories, as they are written on a command line.

    Parameters
    ----------
    texts : sequence of str
        Each ``name`` or ``name=category+category``, or several of them separated by commas.

    Raises
    ------
    UsageError
        A text does not name a class, or names no category of it.
    """
    table = {}
    for item in (part for text in texts for part in text.split(",")):
        label, sign, members = item.partition("=")
        table[label.strip()] = tuple(m.strip() for m in (members if sign else label).split("+"))
        if not all((label.strip(), *table[label.strip()])):
            raise UsageError(f"{item!r} is not a class; write NAME or NAME=CATEGORY+CATEGORY")
    return table


def class_table(
    model: Sequence[str], categories: Sequence[str], given: Mapping[str, Sequence[str]]
) -> NDArray[np.int64]:
    """Tell the model's class of each category of the dataset: -1 for none.

    Parameters
    ----------
    model : sequence of str
        Classes of the model.
    categories : sequence of str
        Those of the dataset.
    given : mapping of str to sequence of str
        Class of the model to categories; for classes that are not in it, the category of the same name. To a class that
        is in it only those given belong.

    Raises
    ------
    UsageError
        A name is in neither, or nothing is common.
    """
    own, there = list(map(plain_name, model)), list(map(plain_name, categories))
    table = np.full(len(categories), -1, np.int64)
    explicit = set(map(plain_name, given))
    for k, name in enumerate(there):
        if name in own and name not in explicit:
            table[k] = own.index(name)
    for label, members in given.items():
        if plain_name(label) not in own:
            raise UsageError(f"the model has no class {label!r}; it has {', '.join(model)}")
        for member in members:
            if plain_name(member) not in there:
                raise UsageError(f"the dataset has no category {member!r}; it has {', '.join(categories)}")
            for k in (k for k, name in enumerate(there) if name == plain_name(member)):  # a name may be there twice
                table[k] = own.index(plain_name(label))
    if (table < 0).all():
        raise UsageError(
            f"the model ({', '.join(model)}) and the dataset ({', '.join(categories)}) have no class in common; "
            "say which belong together with --classes"
        )
    return table


def classes_not_exhaustive(entry: Entry, categories: Sequence[str], classes: NDArray[np.int64]) -> list[int]:
    """Classes of the model of which the image does not label some category exhaustively.

    Parameters
    ----------
    entry : Entry
        The image.
    categories : sequence of str
        Of its table.
    classes : ndarray of int64
        The model's class of each category (:func:`class_table`).
    """
    missing = set(map(plain_name, entry.not_exhaustive))
    return sorted(
        {int(k) for name, k in zip(categories, classes, strict=True) if k >= 0 and plain_name(name) in missing}
    )


def boxes_of_no_class(table: Table, classes: NDArray[np.int64]) -> dict[str, int]:
    """Count the boxes of categories that belong to no class, by category, most first.

    Parameters
    ----------
    table : Table
        The dataset.
    classes : ndarray of int64
        The model's class of each category, -1 for none.
    """
    counts = np.zeros(len(table.categories) + 1, np.int64)
    for entry in table.entries:
        np.add.at(counts, entry.categories, 1)
    found: dict[str, int] = {}
    for k in np.argsort(-counts[:-1], kind="stable").tolist():
        if classes[k] < 0 and counts[k]:
            found[table.categories[k]] = found.get(table.categories[k], 0) + int(counts[k])
    return found


def usable_entries(table: Table, classes: NDArray[np.int64]) -> list[Entry]:
    """Images in which some evaluated class is labelled exhaustively."""
    used = len(set(classes[classes >= 0].tolist()))
    return [e for e in table.entries if len(classes_not_exhaustive(e, table.categories, classes)) < used]


def truth_of(entry: Entry, classes: NDArray[np.int64], not_exhaustive: Sequence[int] = ()) -> ImageTruth:
    """Labels of an image in its own pixels; categories that the model does not know are left out.

    Parameters
    ----------
    entry : Entry
        The image.
    classes : ndarray of int64
        The model's class of each category, -1 for none.
    not_exhaustive : sequence of int
        Classes that are ignored in this image (:func:`classes_not_exhaustive`).
    """
    labels = classes[entry.categories]
    good = labels >= 0
    own = entry.ignore_concerns
    kept = (own < 0) | (classes[own] >= 0)
    truth = ImageTruth(
        entry.boxes[good],
        labels[good],
        entry.ignore[kept],
        np.where(own < 0, -1, classes[own])[kept],
        None if entry.areas is None else entry.areas[good],
        entry.size,
    )
    return truth.ignoring(not_exhaustive, entry.size or read_header(entry.path).size) if not_exhaustive else truth
