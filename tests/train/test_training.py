"""The public function ``nssa_gis.train`` and its parameters."""

import pytest

import nssa_gis
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
