import json

import numpy as np
import pytest
from PIL import Image

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
        (["--classes", "vehicle="], "is no class"),
        ([*SAMPLE_CLASSES, "--json", "missing/e.json"], "does not exist"),
        ([*SAMPLE_CLASSES, "--format", "dota"], "cannot read the labels"),
    ],
)
def test_one_line_says_what_is_wrong(cli, labelled, arguments, message):
    done = cli("evaluate", "aerial-vehicles", labelled, *arguments, "--device", "cpu")
    assert done.returncode in (1, 2)
    assert message in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_nothing_is_replaced_unasked(cli, labelled, tmp_path):
    (tmp_path / "e.json").write_text("mine")
    done = cli("evaluate", "aerial-vehicles", labelled, *SAMPLE_CLASSES, "--json", tmp_path / "e.json")
    assert done.returncode == 1
    assert (tmp_path / "e.json").read_text() == "mine"


def test_help_says_which_point_is_shown(cli):
    done = cli("evaluate", "--help")
    assert done.returncode == 0
    assert "best_f1" in done.stdout and "half a point (0.005) of the best" in " ".join(done.stdout.split())
