"""What ``nssa-gis train`` prints."""

import pytest

from nssa_gis.testing.labels import write_coco


@pytest.mark.slow
def test_the_data_are_counted_before_the_training(cli, tmp_path):
    folder = write_coco(tmp_path / "toy")
    how = ["--classes", "car", "--steps", 1, "--size", "n-plain", "--batch", 1, "--crop", 64, "--workers", 0]
    done = cli("train", folder, "-o", "m.safetensors", "--val-scenes", "b", *how)
    assert done.returncode == 0, done.stderr
    first = done.stdout.splitlines()[0]
    assert first == (
        "train: 2 images, 8 boxes, 0 ignored regions; val: 2 images, 8 boxes, 0 ignored regions; 0 dropped labels"
    )
    (folder / "instances.json").write_text(
        (folder / "instances.json").read_text().replace('"image_id": ', '"image_id": 9')
    )
    done = cli("train", folder, "-o", "n.safetensors", *how)
    assert done.returncode == 1 and done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert "no label can be used: 16 labels are not used: their image is not listed" in line
