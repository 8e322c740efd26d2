import pytest

from nssa_gis.testing.labels import write_coco


@pytest.fixture
def coco_folder(tmp_path):
    return write_coco(tmp_path / "toy")


@pytest.fixture(scope="module")
def kept_folder(tmp_path_factory):
    """The same for all tests of a file."""
    return write_coco(tmp_path_factory.mktemp("kept") / "toy")
