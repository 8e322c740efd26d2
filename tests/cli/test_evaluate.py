import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import nssa_gis
from nssa_gis.evaluate.options import EvaluateArguments, EvaluateOptions
from nssa_gis.evaluate.protocols import PROTOCOLS
from nssa_gis.labels.registry import FORMATS

SHARED = Path(__file__).parents[3] / "shared" / "data"
SAMPLE_CLASSES = ["--classes", "vehicle=car"]


@pytest.fixture
def labelled(tmp_path):
    """One image with a label, in VisDrone's format."""
    (tmp_path / "data" / "images").mkdir(parents=True)
    (tmp_path / "data" / "annotations").mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(80, 120, (96, 128, 3)).astype(np.uint8)).save(tmp_path / "data" / "images" / "a.jpg")
    (tmp_path / "data" / "annotations" / "a.txt").write_text("10,10,18,8,1,4,0,0\n60,60,30,30,0,0,0,0\n")
    return tmp_path / "data"


@pytest.mark.slow
def test_tables_json_and_curve(cli, labelled, tmp_path):
    protocols = ["coco", "visdrone", "visdrone-official", "aitod"]
    asked = [part for name in protocols for part in ("--protocol", name)]
    done = cli(
        "evaluate",
        "aerial-vehicles",
        labelled,
        *SAMPLE_CLASSES,
        *asked,
        "--json",
        tmp_path / "e.json",
        "--curve",
        tmp_path / "e.png",
        "--device",
        "cpu",
    )
    assert done.returncode == 0, done.stderr
    for name in protocols:
        assert f"protocol {name}, 1 objects" in done.stdout
    assert done.stdout.startswith("1 images, 1 boxes, 1 ignored regions; 0 dropped labels\n")
    assert "warning" in done.stderr and "a.jpg: no ground sample distance is known" in done.stderr
    facts = json.loads((tmp_path / "e.json").read_text())
    assert [p["protocol"] for p in facts["protocols"]] == protocols
    assert facts["categories"] == {"car": "vehicle"}
    assert list(facts["protocols"][3]["areas"]) == ["very tiny", "tiny", "small", "medium"]
    for row in [facts["protocols"][0], *facts["protocols"][0]["classes"]]:
        assert 0 <= row["f1"] <= row["best_f1"] <= 1
    assert Image.open(tmp_path / "e.png").size[0] > 400


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no class in common"),
        (["--classes", "boat=car"], "the model has no class 'boat'"),
        (["--classes", "vehicle=boat"], "the dataset has no category 'boat'"),
        (["--classes", "vehicle="], "is not a class"),
        ([*SAMPLE_CLASSES, "--json", "missing/e.json"], "does not exist"),
        ([*SAMPLE_CLASSES, "--format", "dota"], "cannot read the labels"),
    ],
)
@pytest.mark.slow
def test_one_line_says_what_is_wrong(cli, labelled, arguments, message):
    done = cli("evaluate", "aerial-vehicles", labelled, *arguments, "--device", "cpu")
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_parameters_are_those_of_the_room():
    assert set(EvaluateArguments.__annotations__) == set(EvaluateOptions.model_fields)
    rows = {row["name"]: row for row in EvaluateOptions.table()}
    assert rows["protocols"]["choices"] == list(PROTOCOLS)
    assert set(rows["format"]["choices"]) == set(FORMATS)
    with pytest.raises(nssa_gis.UsageError, match="'boat=' is not a class; write NAME"):
        EvaluateOptions.parse({"classes": ["car", "boat="]})


def test_evaluate_as_a_function(labelled):
    found = nssa_gis.evaluate("aerial-vehicles", labelled, classes={"vehicle": ("car",)}, protocols="visdrone")
    assert [(score.protocol, score.truths) for score in found.protocols] == [("visdrone", 1)]


def test_nothing_is_replaced_unasked(cli, labelled, tmp_path):
    (tmp_path / "e.json").write_text("mine")
    done = cli("evaluate", "aerial-vehicles", labelled, *SAMPLE_CLASSES, "--json", tmp_path / "e.json")
    assert done.returncode == 1
    assert (tmp_path / "e.json").read_text() == "mine"


def test_help_says_which_point_is_shown(cli):
    done = cli("evaluate", "--help")
    assert done.returncode == 0
    assert "best_f1" in done.stdout and "half a point (0.005) of the best" in " ".join(done.stdout.split())


@pytest.mark.skipif(
    not (SHARED / "airbus_aircraft").is_dir(), reason="the labelled imagery (../shared/data) is not here"
)
@pytest.mark.slow
def test_the_second_model_finds_airplanes_and_ignores_cars_that_nobody_labelled(cli, tmp_path):
    """A quarter of a held-out airport through the command, tiles and all."""
    source = SHARED / "airbus_aircraft"
    table = json.loads((source / "instances.json").read_text())
    image = next(i for i in table["images"] if i["scene"] == "g5")
    (tmp_path / "data" / "images").mkdir(parents=True)
    with Image.open(source / "images" / image["file_name"]) as opened:
        opened.crop((0, 0, 1280, 1280)).save(tmp_path / "data" / "images" / "a.png")
    whole = [a for a in table["annotations"] if a["image_id"] == image["id"]]
    whole = [a for a in whole if a["bbox"][0] + a["bbox"][2] <= 1280 and a["bbox"][1] + a["bbox"][3] <= 1280]
    assert len(whole) > 5
    facts = {"id": image["id"], "file_name": "a.png", "gsd_m": image["gsd_m"], "not_exhaustive": ["vehicle"]}
    names = [*table["categories"], {"id": 99, "name": "vehicle"}]
    (tmp_path / "data" / "instances.json").write_text(
        json.dumps({"images": [facts], "annotations": whole, "categories": names})
    )
    done = cli("evaluate", "aerial-4", tmp_path / "data", "--json", tmp_path / "e.json", "--progress", "none")
    assert done.returncode == 0, done.stderr
    (score,) = json.loads((tmp_path / "e.json").read_text())["protocols"]
    of_class = {row["name"]: row for row in score["classes"]}
    assert of_class["vehicle"]["truths"] == 0
    assert of_class["airplane"]["truths"] == len(whole)
    assert of_class["airplane"]["ap50"] > 0.7
    assert score["precision"] > 0.8
