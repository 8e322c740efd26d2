"""Processing parameters from the generated table of engine options, and back to arguments."""

import json
import os

from qgis.core import (
    NULL,
    QgsProcessingParameterBoolean,
    QgsProcessingParameterCrs,
    QgsProcessingParameterDefinition,
    QgsProcessingParameterEnum,
    QgsProcessingParameterNumber,
    QgsProcessingParameterString,
)

from .rasters import crs_text
from .texts import tr

with open(os.path.join(os.path.dirname(__file__), "options.json"), encoding="utf-8") as _handle:
    OPTIONS = {row["name"]: row for row in json.load(_handle)}

#: Displayed names; options without an entry are shown by their name.
_LABELS = {
    "model": "Model (name of a built-in one, or a .safetensors file)",
    "confidence": "Confidence threshold",
    "classes": "Classes, separated by commas",
    "gsd": "Ground sample distance for the network",
    "scale": "Resampling factor instead of a ground sample distance",
    "bands": "Bands for red, green, blue, such as 4,3,2",
    "crs": "CRS of the raster, if its file states none",
    "tile": "Tile size",
    "overlap": "Overlap of tiles",
    "tta": "Test-time augmentation: average over mirrored, rotated or resized views",
    "device": "Device (auto, cpu, cuda, cuda:1, mps)",
    "backend": "Backend",
    "batch_size": "Tiles per call of the network",
    "threads": "CPU threads of the network",
    "readers": "Threads that read the raster",
    "of": "Output driver (GDAL name)",
    "geometry": "Geometry",
    "t_crs": "CRS of the layer",
    "resume": "Resume an interrupted run",
    "overwrite": "Replace existing layers",
}
#: Options that are text for the engine and have a CRS selector in QGIS.
_CRS = ("crs", "t_crs")


def add_options(algorithm, names):
    """Add a parameter per option."""
    for name in names:
        parameter = make(OPTIONS[name])
        if OPTIONS[name]["advanced"]:
            parameter.setFlags(parameter.flags() | _advanced())
        algorithm.addParameter(parameter)


def make(row):
    """Make the parameter of an option."""
    key, label = row["name"].upper(), tr(_LABELS.get(row["name"], row["name"]))
    if row["unit"]:
        label += f" [{row['unit']}]"
    if row["default_text"]:
        label += " ({}: {})".format(tr("default"), tr(row["default_text"]))
    optional = row["default"] is None
    if row["name"] in _CRS:
        parameter = QgsProcessingParameterCrs(key, label, optional=True)
    elif row["type"] == "boolean":
        parameter = QgsProcessingParameterBoolean(key, label, defaultValue=bool(row["default"]))
    elif row["type"] == "choice":
        chosen = row["choices"].index(row["default"])
        parameter = QgsProcessingParameterEnum(key, label, options=row["choices"], defaultValue=chosen)
    elif row["type"] in ("number", "integer"):
        kinds = getattr(QgsProcessingParameterNumber, "Type", QgsProcessingParameterNumber)
        bounds = {}
        if row["minimum"] is not None:
            bounds["minValue"] = row["minimum"] + (1e-6 if row["exclusive_minimum"] else 0)
        if row["maximum"] is not None:
            bounds["maxValue"] = row["maximum"]
        kind = kinds.Double if row["type"] == "number" else kinds.Integer
        parameter = QgsProcessingParameterNumber(key, label, type=kind, optional=optional, **bounds)
        if not optional:
            parameter.setDefaultValue(row["default"])
    else:
        parameter = QgsProcessingParameterString(key, label, defaultValue=row["default"], optional=optional)
    parameter.setHelp(tr(row["help"]))
    return parameter


def arguments(algorithm, parameters, names, context):
    """Return the command-line arguments of the options that are set."""
    given = []
    for name in names:
        row, key = OPTIONS[name], name.upper()
        if not is_set(parameters, key):
            continue
        flag = row["flags"][0]
        if name in _CRS:
            text = crs_text(algorithm.parameterAsCrs(parameters, key, context))
            given += [flag, text] if text else []
        elif row["type"] == "boolean":
            given += [flag] if algorithm.parameterAsBool(parameters, key, context) else []
        elif row["type"] == "choice":
            given += [flag, row["choices"][algorithm.parameterAsEnum(parameters, key, context)]]
        elif row["type"] == "integer":
            given += [flag, str(algorithm.parameterAsInt(parameters, key, context))]
        elif row["type"] == "number":
            given += [flag, repr(algorithm.parameterAsDouble(parameters, key, context))]
        else:
            text = algorithm.parameterAsString(parameters, key, context).strip()
            given += [flag, text] if text else []
    return given


def is_set(parameters, key):
    """Say whether a parameter has a value; QGIS gives None, an empty text or a NULL of its own for none."""
    value = parameters.get(key)
    return not (value is None or value == "" or value == NULL)


def _advanced():
    """Return the flag under its name in QGIS 3.22 to 4."""
    holder = getattr(QgsProcessingParameterDefinition, "Flag", QgsProcessingParameterDefinition)
    return holder.FlagAdvanced
