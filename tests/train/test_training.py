"""The public function ``nssa_gis.train`` and its parameters."""

import json
import math

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio import Affine

import nssa_gis
from nssa_gis.model.config import named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.package import save_package
from nssa_gis.testing.planted import planted_info
from nssa_gis.train.options import SuggestArguments, SuggestOptions, TrainArguments, TrainOptions


def test_train_as_a_function(coco_folder, tmp_path):
    events = []
    result = nssa_gis.train(
        coco_folder,
        tmp_path / "m.safetensors",
        classes="vehicle=car",
        val_scenes="b",
        size="n-plain",
        steps=1,
        batch=2,
        crop=64,
        workers=0,
        run=tmp_path / "run",
        progress=events.append,
    )
    assert result.output.is_file()
    assert (result.info.classes, result.steps) == (("vehicle",), 1)
    assert set(result.accuracy) == {"all", coco_folder.name}
    assert [event["event"] for event in events] == ["data", "step", "validate"]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({}, "give either --steps or --time-budget"),
        ({"steps": 1, "time_budget": 1}, "give either --steps or --time-budget"),
        ({"time_budget": "soon"}, "--time-budget soon: should be a time such as 90s, 45m or 2h"),
        ({"time_budget": "0s"}, "--time-budget 0s: should be greater than 0"),
        ({"steps": 1, "crop": 100}, "--crop 100: should be a multiple of 64"),
        ({"steps": 1, "data_root": "missing"}, "--data-root missing: should be a folder that exists"),
        ({"steps": 1, "epochs": 3}, "no such option: epochs"),
    ],
)
def test_wrong_values_are_told_in_one_line(values, words):
    with pytest.raises(nssa_gis.UsageError) as caught:
        TrainOptions.parse(values)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_times_have_units():
    assert TrainOptions.parse({"time_budget": "1.5h"}).time_budget == 5400
    assert TrainOptions.parse({"time_budget": 60, "checkpoint_every": "2m"}).checkpoint_every == 120


def test_fields_of_images_are_read():
    assert SuggestOptions.parse({"only": ("has_cars=true", "city=Oslo")}).only == {"has_cars": True, "city": "Oslo"}
    with pytest.raises(nssa_gis.UsageError, match=r"--only.*FIELD=VALUE"):
        SuggestOptions.parse({"only": "has_cars"})


@pytest.mark.parametrize(("options", "arguments"), [(TrainOptions, TrainArguments), (SuggestOptions, SuggestArguments)])
def test_arguments_of_the_functions_are_the_fields(options, arguments):

    assert set(arguments.__annotations__) == set(options.model_fields)


def few_steps(folder, tmp_path, **options):
    """Train one step; the events of it and the result."""
    events = []
    how = {
        "size": "n-plain",
        "steps": 1,
        "batch": 1,
        "crop": 64,
        "workers": 0,
        "run": tmp_path / "run",
        "overwrite": True,
    }
    how |= {"classes": "car"} | options
    return events, nssa_gis.train(folder, tmp_path / "m.safetensors", progress=events.append, **how)


def edited(folder, change):
    table = json.loads((folder / "instances.json").read_text())
    change(table)
    (folder / "instances.json").write_text(json.dumps(table))
    return folder


def test_what_is_used_is_told_before_the_first_step(coco_folder, tmp_path):
    def change(table):
        rows = table["annotations"]
        for row in rows[:3]:
            row["image_id"] = 99
        rows[3]["iscrowd"] = "1"
        rows[4]["category_id"] = "7"
        rows[5]["bbox"] = [math.nan] * 4

    events, _ = few_steps(edited(coco_folder, change), tmp_path)
    told = [e["message"] for e in events if e["event"] == "warning"]
    assert told[0].startswith("toy: 3 labels are not used: their image is not listed (first: annotations[0] of ")
    assert told[1].startswith("toy: 1 label is not used: their coordinates are not finite numbers (first: 1.png, ")
    kinds = [e["event"] for e in events]
    assert kinds.index("data") < kinds.index("step")
    data = events[kinds.index("data")]
    assert data["train"] == {"images": 4, "boxes": 10, "ignored": 1}
    assert (data["dropped"], data["unused"]) == (4, {"tree": 1})


def test_the_gsd_of_a_geotiff_is_that_of_its_crs(coco_folder, tmp_path):
    """As if the labels stated it: in metres and in feet."""
    _, stated = few_steps(edited(coco_folder, lambda t: [i.update(gsd_m=0.5) for i in t["images"]]), tmp_path, gsd=0.25)
    wanted = stated.info.metrics["training"]["max_object"]
    assert wanted > 25, "twice the sides of the boxes"
    for crs, side, place in (("EPSG:32633", 0.5, (500000, 5300000)), ("EPSG:2263", 0.5 / 0.3048006, (990000, 200000))):
        for number in range(4):
            path = coco_folder / "images" / f"{number}.png"
            pixels = np.array(Image.open(path)).transpose(2, 0, 1)
            profile = {"driver": "GTiff", "width": 96, "height": 96, "count": 3, "dtype": "uint8", "crs": crs}
            with rasterio.open(
                path.with_suffix(".tif"), "w", **profile, transform=Affine(side, 0, place[0], 0, -side, place[1])
            ) as out:
                out.write(pixels)
        edited(coco_folder, lambda t: [i.update(file_name=f"{i['id']}.tif", gsd_m=None) for i in t["images"]])
        events, found = few_steps(coco_folder, tmp_path, gsd=0.25)
        assert found.info.metrics["training"]["max_object"] == pytest.approx(wanted, rel=0.02), crs
        assert not any("ground sample distance" in e.get("message", "") for e in events)


def test_an_unknown_gsd_is_told(coco_folder, tmp_path):
    edited(coco_folder, lambda t: [i.pop("gsd_m") for i in t["images"][1:]])
    events, _ = few_steps(coco_folder, tmp_path, gsd=0.3)
    (told,) = [e["message"] for e in events if "ground sample distance" in e.get("message", "")]
    assert told.startswith("3 of 4 images state no ground sample distance") and "1.png); 0.3 m/px is assumed" in told


def test_the_gsd_is_that_of_the_start_model_unless_another_is_given(coco_folder, tmp_path):
    config = named_config("nssa-n-plain", 1)
    start = tmp_path / "start.safetensors"
    info = planted_info(classes=("car",), gsd=0.2, network=config.to_dict())
    save_package(start, DetectionNetwork(config).state_dict(), info)
    assert few_steps(coco_folder, tmp_path, init=start)[1].info.gsd == 0.2
    start.unlink()
    _, resumed = few_steps(coco_folder, tmp_path, steps=2, resume=True)
    assert (resumed.info.gsd, resumed.steps) == (0.2, 2), "a resumed run needs neither --gsd nor the start model"
    save_package(start, DetectionNetwork(config).state_dict(), info)
    assert few_steps(coco_folder, tmp_path, init=start, gsd=0.3)[1].info.gsd == 0.3
    assert few_steps(coco_folder, tmp_path)[1].info.gsd == 0.25
