"""Whatever the bytes of a file: a scene opens and reads, or one line says why not."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nssa_gis.testing.damage import LAYOUTS, make_scenes, probe_scene


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    make_scenes(folder)
    return folder


@given(data=st.data())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_damaged_bytes(files, tmp_path, capfd, data):
    content = bytearray((files / f"{data.draw(st.integers(0, len(LAYOUTS) - 1))}.tif").read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        at = data.draw(st.integers(0, min(len(content) - 1, 600)) | st.integers(0, len(content) - 1))
        content[at] = data.draw(st.integers(0, 255))
    path = tmp_path / "scene.tif"
    path.write_bytes(content[: data.draw(st.just(len(content)) | st.integers(1, len(content)))])
    probe_scene(path)
    assert "ERROR" not in capfd.readouterr().err
