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


@pytest.mark.parametrize("turned", [False, True])
def test_rotated_views_are_passed_on(dataset, capsys, monkeypatch, turned):
    seen = []

    def record(detector, folder, *, rotated, **options):
        seen.append(rotated)
        return Suggestions({"images": [{}], "annotations": [{"iscrowd": 0}, {"iscrowd": 1}], "categories": []})

    monkeypatch.setattr(pseudo_labels, "suggest_labels", record)
    output = dataset / "labels.json"
    arguments = ["suggest", "aerial-vehicles", str(dataset), "-o", str(output), "--progress", "none"]
    assert main([*arguments, *(["--turned"] if turned else [])]) == 0
    assert seen == [turned]
    assert capsys.readouterr().out == f"wrote {output}: 1 images, 1 labels, 1 ignore regions\n"


def test_real_model_suggests_nothing_on_plain_ground(dataset, capsys):
    output = dataset / "labels.json"
    for option in ("--turned", "--empty"):
        arguments = ["suggest", "aerial-vehicles", str(dataset), "-o", str(output), "--overwrite", "--progress", "none"]
        assert main([*arguments, option]) == 0
        assert json.loads(output.read_text())["annotations"] == []


def test_bad_wishes_are_one_line_and_no_file(dataset, capsys):
    arguments = ["suggest", "aerial-vehicles", str(dataset), "-o", str(dataset / "labels.json")]
    assert main([*arguments, "--doubt", "0.7"]) == 2
    assert main([*arguments, "--only", "scene=nowhere"]) == 1
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "--ignore-threshold 0.7 is above --label-threshold 0.6" in said[0]
    assert "no images with scene=nowhere" in said[1]
    assert not (dataset / "labels.json").exists()
