"""The plugin against the real Qt 6: QGIS 4 has it, and its enums are scoped."""

import ast
import enum
import importlib
import sys
import types

import pytest
from plugin_support import PLUGIN, SOURCES, module_of

#: Enums of QGIS that the declarations of the algorithms use, scoped as in QGIS 4; there are no others here.
_ENUMS = {
    "QgsProcessing": {"SourceType": "TypeVectorPolygon"},
    "QgsProcessingParameterDefinition": {"Flag": "FlagAdvanced"},
    "QgsProcessingParameterFile": {"Behavior": "Folder"},
    "QgsProcessingParameterNumber": {"Type": "Double Integer"},
}


class _Strict(types.ModuleType):
    """``qgis.core`` in which instances do anything, and classes have no member that is not known."""

    NULL = object()

    def __init__(self, name):
        super().__init__(name)
        self.calls = []

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)

        def note(instance, method):
            if method.startswith("__"):
                raise AttributeError(method)
            return lambda *given, **named: self.calls.append((method, given)) or 0

        enums = {key: enum.IntFlag(key, members) for key, members in _ENUMS.get(name, {}).items()}
        made = type(name, (), {"__init__": lambda self, *a, **k: None, "__getattr__": note, **enums})
        setattr(self, name, made)
        return made


@pytest.fixture
def qt6(monkeypatch, fresh_modules):
    reason = "PyQt6 with its libraries is needed to try the plugin against Qt 6: pip install PyQt6"
    monkeypatch.setitem(sys.modules, "qgis", types.ModuleType("qgis"))
    pyqt = types.ModuleType("qgis.PyQt")
    pyqt.sip = pytest.importorskip("PyQt6.sip", reason=reason, exc_type=ImportError)
    monkeypatch.setitem(sys.modules, "qgis.PyQt", pyqt)
    for name in ("QtCore", "QtGui", "QtWidgets"):
        monkeypatch.setitem(
            sys.modules, f"qgis.PyQt.{name}", pytest.importorskip(f"PyQt6.{name}", reason=reason, exc_type=ImportError)
        )
    core = _Strict("qgis.core")
    monkeypatch.setitem(sys.modules, "qgis.core", core)
    return core


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_every_module_imports_with_qt6(path, qt6):
    importlib.import_module(module_of(path))


def test_every_algorithm_is_declared_with_qt6(qt6):
    """The provider adds all, and each declares its parameters, by scoped enums only."""
    provider = importlib.import_module("nssa_gis_qgis.provider").Provider()
    for algorithm in importlib.import_module("nssa_gis_qgis.algorithms").ALGORITHMS:
        made = algorithm().createInstance()
        made.initAlgorithm()
        assert made.displayName() and made.shortHelpString() and made.tags()
    declared = [given for method, given in qt6.calls if method == "addParameter"]
    assert len(declared) > 30
    assert provider.supportedOutputVectorLayerExtensions()[0] == provider.defaultVectorFileExtension() == "gpkg"


def test_the_texts_are_read_with_qt6(qt6):
    read = importlib.import_module("nssa_gis_qgis.language").read
    assert read(str(PLUGIN / "i18n" / "nssa_gis_de.ts"))["Raster layer"] == "Rasterlayer"
    assert read(str(PLUGIN / "i18n" / "nssa_gis_xx.ts")) == {}


def qt_names(tree):
    """Class to module of Qt, of all that is imported from there."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("qgis.PyQt."):
            found.update({alias.asname or alias.name: node.module.rpartition(".")[2] for alias in node.names})
    return found


def unscoped(tree):
    """Members used as ``Class.Member``: in Qt a name with a capital is an enum or its member, and Qt 6 wants both."""
    names = qt_names(tree)
    holders = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in names:
            if node.attr[0].isupper() and id(node) not in holders:
                yield f"{node.value.id}.{node.attr} in line {node.lineno}"


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_no_enum_of_qt_is_used_without_its_scope(path):
    assert list(unscoped(ast.parse(path.read_text(encoding="utf-8")))) == []


@pytest.mark.parametrize("path", SOURCES, ids=module_of)
def test_enums_are_looked_up_by_names_that_qt6_knows(path, qt6):
    """``getattr(Class, "Enum", Class)`` takes the class itself where the name is wrong, which fails in Qt 6 only."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = qt_names(tree)
    for function in ast.walk(tree):
        if not isinstance(function, ast.FunctionDef):
            continue
        for variable, holder, scope in lookups(function):
            if holder in names:
                kind = getattr(getattr(sys.modules[f"qgis.PyQt.{names[holder]}"], holder), scope)
                for node in ast.walk(function):
                    if isinstance(node, ast.Attribute) and getattr(node.value, "id", "") == variable:
                        assert hasattr(kind, node.attr), f"{holder}.{scope} has no {node.attr}"


def lookups(function):
    """Give (variable, class, enum) of each ``variable = getattr(Class, "Enum", Class)``."""
    for node in ast.walk(function):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call):
            call = node.value
            if getattr(call.func, "id", "") == "getattr" and isinstance(call.args[0], ast.Name):
                yield node.targets[0].id, call.args[0].id, call.args[1].value


def test_the_check_of_scopes_finds_what_it_should():
    tree = ast.parse(
        "from qgis.PyQt.QtCore import Qt, QIODevice\nfrom qgis.PyQt.QtWidgets import QMessageBox\n"
        "QMessageBox.Yes\nQt.AlignLeft\nfile.open(QIODevice.ReadOnly)\n"
        "Qt.ConnectionType.DirectConnection\nQMessageBox.warning(None)\n"
    )
    assert [text.split()[0] for text in unscoped(tree)] == ["QMessageBox.Yes", "Qt.AlignLeft", "QIODevice.ReadOnly"]
