"""The floors of the house: which module may import which. The imports are read from the source, lazy ones too.

A room is a folder of ``nssa_gis``. A module uses its own room, the rooms of lower floors and the ground, and nothing
else. Imports inside functions and under ``if TYPE_CHECKING:`` count like any other.
"""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("geo", "boxes"),
    ("raster", "model"),
    ("runtime", "seams", "vector", "labels"),
    ("detect",),
    ("evaluate",),
    ("scenes", "train", "analysis", "pictures"),
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms}
GROUND = ("environment", "errors", "events", "files")
#: The one import between rooms of one floor: the bits of the sides that a tile edge cuts.
SIDE_BITS = ("nssa_gis.geo.grid", "nssa_gis.boxes.columns")
#: What a room must not import at all, own modules and libraries.
CLOSED = {
    "boxes": {"torch", "rasterio", "shapely", "pyproj", "affine", "pyogrio", "PIL"},
    "geo": {"torch", "rasterio", "pyogrio", "PIL"},
    "model": {"rasterio", "shapely", "pyproj", "affine", "pyogrio"},
    "vector": {"rasterio", "torch", "nssa_gis.raster"},
    "seams": {"rasterio", "torch"},
    "labels": {"torch"},
}


@cache
def modules(folder: Path) -> dict[str, Path]:
    """All modules of a package by their dotted names; a package bears the name of its folder."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(name: str, path: Path) -> Iterator[str]:
    """Dotted names that a module imports, wherever it does; ``from a import b`` gives ``a.b``."""
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package[: len(package) - node.level + 1] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            yield from (f"{base}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Call) and _called(node) == "import_module" and isinstance(node.args[0], ast.Constant):
            yield str(node.args[0].value)


def _called(node: ast.Call) -> str:
    return getattr(node.func, "attr", getattr(node.func, "id", ""))


def own(target: str, known: dict[str, Path]) -> str | None:
    """The module that an imported name lies in; None for one of another package."""
    while target and target not in known:
        target = target.rpartition(".")[0]
    return target or None


def graph(folder: Path) -> dict[str, set[str]]:
    """Which modules of a package each of its modules imports."""
    known = modules(folder)
    return {name: {t for i in imports(name, path) if (t := own(i, known))} - {name} for name, path in known.items()}


def room(name: str) -> str:
    """The room of a module of ``nssa_gis``; empty for the package itself."""
    return [*name.split("."), ""][1]


def forbidden(name: str, target: str) -> bool:
    """Tell whether one module must not import another of ``nssa_gis``."""
    here, there = room(name), room(target)
    if there in GROUND or here == there or here == "testing" or (name, target) == SIDE_BITS:
        return False
    return here in GROUND or there not in FLOOR or FLOOR[there] >= FLOOR[here]


def circles(edges: dict[str, set[str]]) -> set[str]:
    """Modules that reach themselves again."""

    def reached(start: str) -> set[str]:
        seen: set[str] = set()
        todo = list(edges[start])
        while todo:
            if (name := todo.pop()) not in seen:
                seen.add(name)
                todo += edges.get(name, ())
        return seen

    return {name for name in edges if name in reached(name)}


def test_only_the_ground_and_rooms_lie_at_the_top():
    found = {p.stem for p in (ROOT / "nssa_gis").glob("*.py")} - {"__init__"}
    assert found == set(GROUND)
    folders = {p.name for p in (ROOT / "nssa_gis").iterdir() if list(p.rglob("*.py"))}
    assert folders == {*FLOOR, "testing"}


def test_imports_go_down():
    arrows = graph(ROOT / "nssa_gis")
    package = {"nssa_gis"}  # it hands on the public names of all rooms; a room may ask it for its version alone
    upward = {(n, t) for n, ts in arrows.items() if n not in package for t in ts - package if forbidden(n, t)}
    assert not upward


def test_no_room_uses_the_public_names():
    known = modules(ROOT / "nssa_gis")
    found = {
        (name, target)
        for name, path in known.items()
        for target in imports(name, path)
        if own(target, known) == "nssa_gis" and target not in ("nssa_gis", "nssa_gis.__version__")
    }
    assert not {(n, t) for n, t in found if room(n) != "testing"}


@pytest.mark.parametrize("package", ["nssa_gis", "cli/nssa_gis_cli", "sample_data/townscape"])
def test_no_circles(package):
    edges = graph(ROOT / package)
    edges.pop(Path(package).name)
    assert not circles(edges)


@pytest.mark.parametrize("name", sorted(CLOSED))
def test_a_room_knows_only_its_subject(name):
    for module, path in modules(ROOT / "nssa_gis").items():
        if room(module) == name:
            used = {".".join(i.split(".")[:k]) for i in imports(module, path) for k in (1, 2)}
            assert not used & CLOSED[name], module


def test_boxes_need_numpy_alone():
    used = {i.split(".")[0] for m, p in modules(ROOT / "nssa_gis").items() if room(m) == "boxes" for i in imports(m, p)}
    assert used - sys.stdlib_module_names <= {"numpy", "nssa_gis", "typing_extensions"}


@pytest.mark.parametrize(
    ("package", "allowed"),
    [
        ("cli/nssa_gis_cli", {"nssa_gis", "nssa_gis_cli"}),
        ("benchmarks", {"nssa_gis", "benchmarks"}),
        ("sample_data/townscape", {"townscape"}),
        ("qgis_plugin/nssa_gis_qgis", {"nssa_gis_qgis"}),
    ],
)
def test_packages_use_one_another_downwards(package, allowed):
    ours = {"nssa_gis", "nssa_gis_cli", "benchmarks", "tests", "townscape", "nssa_gis_qgis"}
    for name, path in modules(ROOT / package).items():
        used = {i.split(".")[0] for i in imports(name, path)}
        assert used & ours <= allowed, name


def test_the_library_uses_no_other_package():
    """But ``testing``, which starts the program itself."""
    for name, path in modules(ROOT / "nssa_gis").items():
        used = {i.split(".")[0] for i in imports(name, path)}
        assert not used & {"nssa_gis_cli", "benchmarks", "tests", "townscape"} or room(name) == "testing", name


def test_commands_and_rooms_need_no_test_tools():
    for package in ("nssa_gis", "cli/nssa_gis_cli"):
        for name, path in modules(ROOT / package).items():
            if not name.startswith("nssa_gis.testing"):
                assert not [i for i in imports(name, path) if i.startswith("nssa_gis.testing")], name


def test_the_plugin_needs_qgis_alone():
    for name, path in modules(ROOT / "qgis_plugin" / "nssa_gis_qgis").items():
        used = {i.split(".")[0] for i in imports(name, path)}
        assert used <= sys.stdlib_module_names | {"qgis", "processing", "nssa_gis_qgis"}, name
