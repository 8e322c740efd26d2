import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from nssa_gis.detect.options import (
    DetectArguments,
    DetectOptions,
    DetectorOptions,
    options_table,
    split_options,
)
from nssa_gis.errors import UsageError


def test_defaults_are_valid():
    assert DetectOptions() == DetectOptions.parse({})


def test_text_is_converted():
    options = DetectOptions.parse({"classes": "car, boat", "bands": "4,3,2", "bounds": "1,2,3,4", "confidence": "0.4"})
    assert options.classes == ("car", "boat")
    assert options.bands == (4, 3, 2)
    assert options.bounds == (1.0, 2.0, 3.0, 4.0)
    assert options.confidence == 0.4
    assert DetectorOptions.parse({"model": Path("mine.onnx")}).model == "mine.onnx"


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"confidence": 1.5}, "--confidence 1.5: should be less than or equal to 1"),
        ({"confidence": "nan"}, "--confidence"),
        ({"gsd": 0}, "--gsd 0: should be greater than 0"),
        ({"gsd": float("inf")}, "--gsd"),
        ({"gsd": 1, "scale": 2}, "--gsd and --scale exclude each other"),
        ({"overwrite": True, "resume": True}, "--overwrite and --resume exclude each other"),
        ({"append": True, "overwrite": True}, "--overwrite and --append exclude each other"),
        ({"aoi": "a.gpkg", "bounds": "0,0,1,1"}, "--aoi and --bounds exclude each other"),
        ({"bounds_crs": "EPSG:4326"}, "--bounds-crs needs --bounds"),
        ({"bounds": "1,2,3"}, "--bounds: should be four numbers"),
        ({"bounds": "3,0,1,1"}, "x0 < x1"),
        ({"bands": "0,1,2"}, "--bands"),
        ({"bands": "red"}, "--bands"),
        ({"classes": ""}, "--classes"),
        ({"tile": 128, "overlap": 128}, "--overlap 128 must be smaller than --tile 128"),
        ({"tile": "big"}, "--tile big"),
        ({"device": "gpu"}, "--device gpu: should be auto"),
        ({"geometry": "circle"}, "--geometry circle: should be 'polygon'"),
        ({"colour": 1}, "no such option: colour"),
    ],
)
def test_bad_values_are_explained_in_one_line(values, words):
    with pytest.raises(UsageError) as caught:
        split_options(values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_options_cannot_be_changed():
    with pytest.raises(ValidationError):
        DetectOptions().tile = 3  # type: ignore[misc]


def test_fingerprint_leaves_out_the_way_of_working():
    one = DetectOptions.parse({"batch_size": 2, "readers": 1, "resume": True})
    assert one.fingerprint() == DetectOptions().fingerprint()
    assert DetectOptions.parse({"confidence": 0.5}).fingerprint() != DetectOptions().fingerprint()
    json.dumps(DetectOptions.parse({"bounds": "0,0,1,1", "classes": "car"}).fingerprint())


def test_table_describes_every_option_in_json():
    table = json.loads(json.dumps(options_table()))
    assert [row["name"] for row in table] == [*DetectorOptions.model_fields, *DetectOptions.model_fields]
    assert all(row["help"].endswith(".") and row["group"] and row["flags"] for row in table)
    rows = {row["name"]: row for row in table}
    assert rows["confidence"]["type"] == "number"
    assert (rows["confidence"]["minimum"], rows["confidence"]["maximum"]) == (0, 1)
    assert rows["gsd"]["exclusive_minimum"] is True
    assert rows["gsd"]["unit"] == "m/px"
    assert rows["geometry"]["choices"] == ["polygon", "point"]
    assert rows["bounds"]["type"] == "bounds"
    assert rows["classes"]["type"] == "strings"
    assert rows["bands"]["type"] == "integers"
    assert rows["overwrite"]["type"] == "boolean"


def test_arguments_of_the_functions_are_the_fields():
    assert set(DetectArguments.__annotations__) == {*DetectorOptions.model_fields, *DetectOptions.model_fields}
