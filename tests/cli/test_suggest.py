import json

import numpy as np
import pytest
from nssa_gis_cli.main import main
from PIL import Image

from nssa_gis.train import pseudo_labels
from nssa_gis.train.pseudo_labels import Suggestions


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(np.full((40, 50, 3), 90, np.uint8)).save(tmp_path / "images" / "a.png")
    images = [{"id": 1, "file_name": "a.png", "gsd_m": 0.25, "width": 50, "height": 40}]
    (tmp_path / "instances.json").write_text(json.dumps({"images": images, "annotations": [], "categories": []}))
    return tmp_path


@pytest.mark.parametrize("new", [True, False], ids=["new", "old"])
def test_options_are_passed_on_in_both_spellings(dataset, capsys, monkeypatch, new):
    seen = []

    def record(detector, folder, **options):
        seen.append(options)
        return Suggestions({"images": [{}], "annotations": [{"iscrowd": 0}, {"iscrowd": 1}], "categories": []})

    monkeypatch.setattr(pseudo_labels, "suggest_labels", record)
    output = dataset / "labels.json"
    arguments = ["suggest", "aerial-vehicles", str(dataset), "-o", str(output), "--progress", "none"]
    names = ["--rotated", "--label-threshold", "--ignore-threshold"] if new else ["--turned", "--sure", "--doubt"]
    assert main([*arguments, names[0], names[1], "0.8", names[2], "0.2"]) == 0
    assert (seen[0]["rotated"], seen[0]["label_threshold"], seen[0]["ignore_threshold"]) == (True, 0.8, 0.2)
    assert capsys.readouterr().out == f"wrote {output}: 1 images, 1 labels, 1 ignore regions\n"
    assert main([*arguments, "--overwrite", "--hard-negatives" if new else "--empty"]) == 0
    assert seen[1]["hard_negatives"]
    assert capsys.readouterr().out == f"wrote {output}: 1 images, 0 hard negatives\n"


def test_real_model_suggests_nothing_on_plain_ground(dataset, capsys):
    output = dataset / "labels.json"
    for option in ("--rotated", "--hard-negatives"):
        arguments = ["suggest", "aerial-vehicles", str(dataset), "-o", str(output), "--overwrite", "--progress", "none"]
        assert main([*arguments, option]) == 0
        assert json.loads(output.read_text())["annotations"] == []


def test_wrong_options_are_one_line_and_no_file(dataset, capsys):
    arguments = ["suggest", "aerial-vehicles", str(dataset), "-o", str(dataset / "labels.json")]
    assert main([*arguments, "--ignore-threshold", "0.7"]) == 2
    assert main([*arguments, "--only", "scene=nowhere"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "--ignore-threshold 0.7 is above --label-threshold 0.6" in said[0]
    assert "no images with scene=nowhere" in said[1]
    assert not (dataset / "labels.json").exists()
