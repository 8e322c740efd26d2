import json
import pickle
import re
import struct

import pytest
import torch
from pydantic import ValidationError

from nssa_gis.detect.options import options_table
from nssa_gis.errors import NssaError
from nssa_gis.model.config import named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.backends.torch import build_detector
from nssa_gis.runtime.package import ModelInfo, built_in_models, load_package, read_metadata, save_package


def info(**kw):
    values = dict(
        name="toy",
        version="1",
        network=named_config("nssa-n", 1).to_dict(),
        classes=("vehicle",),
        gsd=0.25,
        gsd_range=(0.1, 0.5),
    )
    return ModelInfo(**{**values, **kw})


@pytest.fixture(scope="module")
def package(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("models") / "toy.safetensors"
    save_package(path, DetectionNetwork(named_config("nssa-n", 1)).state_dict(), info(metrics={"val": {"ap50": 0.5}}))
    return path


def test_round_trip(package):
    loaded = load_package(package)
    network = json.loads(json.dumps(named_config("nssa-n", 1).to_dict()))
    assert loaded.info == info(metrics={"val": {"ap50": 0.5}}, network=network)
    assert build_detector(loaded)(torch.rand(1, 3, 64, 64)).logits.shape == (1, 320, 1)
    assert len(loaded.digest) == 64
    assert not list(package.parent.glob(".*"))


def header_of(path):
    content = path.read_bytes()
    return json.loads(content[8 : 8 + struct.unpack("<Q", content[:8])[0]])


def header_file(path, header):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text)
    return path


def test_a_pickle_renamed_is_refused_and_never_run(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "ran"), "w"))

    path = tmp_path / "bomb.safetensors"
    path.write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(NssaError, match="not a safetensors file"):
        load_package(path)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"abc",
        b"\xff" * 64,
        struct.pack("<Q", 10) + b"{}",
        struct.pack("<Q", 2) + b"[]",
        struct.pack("<Q", 4) + b"\xff\xfe\x00{",
        struct.pack("<Q", 9) + b'{"t": {}}',
    ],
)
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(NssaError, match=r"x\.safetensors: not a safetensors file, or damaged \(.+\)") as told:
        load_package(path)
    assert "\n" not in str(told.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(NssaError, match=r"cannot read .*nothing\.safetensors"):
        read_metadata(tmp_path / "nothing.safetensors")
    with pytest.raises(NssaError, match="cannot read"):
        read_metadata(tmp_path)


def test_a_huge_header_is_not_read(tmp_path):
    path = header_file(tmp_path / "x.safetensors", {"__metadata__": {"a": "x" * 5_000_000}})
    with pytest.raises(NssaError, match="header too large"):
        load_package(path)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"format": 1}', '{"format": "x"}', '{"format": 1, "name": 3}', '{"format": NaN}', "[" * 100000],
)
def test_damaged_metadata_is_refused(tmp_path, text):
    path = header_file(tmp_path / "x.safetensors", {"__metadata__": {"nssa_gis": text}})
    with pytest.raises(NssaError, match="damaged metadata"):
        load_package(path)


def test_other_safetensors_and_newer_formats_are_named(tmp_path):
    with pytest.raises(NssaError, match="no nssa-gis model package"):
        load_package(header_file(tmp_path / "a.safetensors", {"__metadata__": {"format": "pt"}}))
    with pytest.raises(NssaError, match="no nssa-gis model package"):
        load_package(header_file(tmp_path / "c.safetensors", {}))
    newer = json.dumps({"format": 99})
    with pytest.raises(NssaError, match="update nssa-gis"):
        load_package(header_file(tmp_path / "b.safetensors", {"__metadata__": {"nssa_gis": newer}}))
    with pytest.raises(NssaError, match="built in"):
        load_package(tmp_path / "missing.safetensors")


def test_truncated_weights_and_foreign_networks(package, tmp_path):
    short = tmp_path / "short.safetensors"
    short.write_bytes(package.read_bytes()[:-1000])
    with pytest.raises(NssaError, match="damaged"):
        build_detector(load_package(short))
    other = tmp_path / "other.safetensors"
    save_package(other, DetectionNetwork(named_config("nssa-n-plain", 1)).state_dict(), info())
    with pytest.raises(NssaError, match="does not fit"):
        build_detector(load_package(other))


def test_built_in_packages_are_small_and_say_what_they_are():
    for path in built_in_models().values():
        assert path.stat().st_size < 12_000_000
        loaded = load_package(path.stem)
        assert loaded.info.licence != "unspecified"
        assert loaded.info.training_data
        assert loaded.info.metrics
        build_detector(loaded)
        assert "nssa_gis" in read_metadata(path)


def test_the_built_in_models_are_those_that_help_names():
    (text,) = (row["help"] for row in options_table() if row["name"] == "model")
    assert set(re.findall(r"aerial-[a-z0-9]+", text)) == set(built_in_models())
    assert load_package("aerial-4").info.classes == ("vehicle", "airplane", "ship", "storage-tank")
    assert load_package().info.classes == ("vehicle",)


def described(path, package, **changes):
    """The same weights under another description."""
    header = header_of(package)
    content = package.read_bytes()
    weights = content[8 + struct.unpack("<Q", content[:8])[0] :]
    values = json.loads(header["__metadata__"]["nssa_gis"])
    values["network"] |= changes.pop("network", {})
    header["__metadata__"]["nssa_gis"] = json.dumps(values | changes)
    path = header_file(path, header)
    path.write_bytes(path.read_bytes() + weights)
    return path


@pytest.mark.parametrize(
    "network",
    [
        {"head_depth": 10**9},
        {"widths": [32, 64, 60_000]},
        {"stem": 20},
        {"depths": [1, 2]},
        {"head_strides": [4, 4]},
        {"stem": True},
        {"classes": 2},
        {"in_channels": 4},
    ],
)
def test_a_wrong_description_asks_for_no_memory(package, tmp_path, network):
    wrong = load_package(described(tmp_path / "wrong.safetensors", package, network=network))
    with pytest.raises(NssaError, match="does not fit"):
        build_detector(wrong)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"gsd": float("nan")}, "NaN"),
        ({"gsd": 1e999}, "Infinity"),
        ({"gsd": 0}, "gsd"),
        ({"gsd": "0.2"}, "gsd"),
        ({"gsd": True}, "gsd"),
        ({"gsd_range": [0.5, 0.1]}, "gsd_range"),
        ({"gsd_range": [0.5]}, "gsd_range"),
        ({"gsd_range": [-1, 0.1]}, "gsd_range 1"),
        ({"classes": "vehicle"}, "classes"),
        ({"classes": []}, "classes"),
        ({"classes": [1]}, "classes 1"),
        ({"classes": ["a", ""]}, "classes 2"),
        ({"classes": ["a", "b", "a"]}, "classes: has a name twice"),
        ({"bands": []}, "bands"),
        ({"name": 7}, "name"),
        ({"name": ""}, "name"),
        ({"licence": "\ud800"}, "licence"),
        ({"score_threshold": {"a": 1}}, "score_threshold"),
        ({"score_threshold": -0.1}, "score_threshold"),
        ({"nms_iou": 2}, "nms_iou"),
        ({"tile": 640.5}, "tile"),
        ({"tile": 650}, "tile: should be a multiple of 64, not 650"),
        ({"tile": 1 << 20}, "tile"),
        ({"overlap": 640}, "overlap: should be less than the tile of 640 px, not 640"),
        ({"overlap": -1}, "overlap"),
        ({"metrics": []}, "metrics"),
        ({"value_range": 3}, "value_range"),
        ({"value_range": [5, 5]}, "value_range"),
        ({"value_range": [[0, 1], [0, 2]]}, "value_range: should be one pair, or one for each of the 3 bands"),
        ({"value_range": [0, "x"]}, "value_range 1 2"),
        ({"value_range": []}, "value_range"),
    ],
)
def test_metadata_of_the_wrong_kind_is_refused(package, tmp_path, changes, field):
    path = described(tmp_path / "wrong.safetensors", package, **changes)
    with pytest.raises(NssaError, match=rf"^{re.escape(str(path))}: damaged metadata of the model package \({field}"):
        load_package(path)


def test_a_missing_field_is_named(package, tmp_path):
    header = header_of(package)
    values = json.loads(header["__metadata__"]["nssa_gis"])
    del values["gsd"]
    header["__metadata__"]["nssa_gis"] = json.dumps(values)
    path = header_file(tmp_path / "x.safetensors", {"__metadata__": header["__metadata__"]})
    with pytest.raises(NssaError, match=r"\(gsd: is missing\)"):
        load_package(path)


def test_unknown_keys_in_a_file_are_ignored_and_in_code_refused(package, tmp_path):
    """Packages of before carry max_object; those of later versions carry what is not known yet."""
    path = described(tmp_path / "other.safetensors", package, max_object=80.0, later={"a": 1})
    assert load_package(path).info == load_package(package).info
    with pytest.raises(ValidationError, match="max_object"):
        info(max_object=80.0)


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        (None, None),
        ((0, 2047), ((0.0, 2047.0),)),
        ([[0, 1000], [0, 2000], [-5, 3000.5]], ((0.0, 1000.0), (0.0, 2000.0), (-5.0, 3000.5))),
    ],
)
def test_value_ranges_come_back(tmp_path, given, kept):
    path = tmp_path / "x.safetensors"
    save_package(path, {"w": torch.zeros(2)}, info(value_range=given))
    assert load_package(path).info.value_range == kept


def test_figures_that_are_no_numbers_become_null(tmp_path):
    path = tmp_path / "x.safetensors"
    save_package(path, {"w": torch.zeros(2)}, info(metrics={"val": {"ap": float("nan")}}))
    assert load_package(path).info.metrics == {"val": {"ap": None}}
