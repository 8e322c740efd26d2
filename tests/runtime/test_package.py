import json
import pickle
import re
import struct

import pytest
import torch

from nssa_gis.detect.options import options_table
from nssa_gis.errors import NssaError
from nssa_gis.model.config import named_config
from nssa_gis.model.network import DetectionNetwork
from nssa_gis.runtime.backends.torch import build_detector
from nssa_gis.runtime.package import ModelInfo, built_in_models, load_package, read_header, save_package


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
    ],
)
def test_garbage_is_refused(tmp_path, content):
    path = tmp_path / "x.safetensors"
    path.write_bytes(content)
    with pytest.raises(NssaError, match=r"x\.safetensors"):
        load_package(path)


@pytest.mark.parametrize(
    "text",
    ["[]", "{}", '{"format": 1}', '{"format": "x"}', '{"format": 1, "name": 3}', "[" * 100000],
)
def test_damaged_metadata_is_refused(tmp_path, text):
    path = header_file(tmp_path / "x.safetensors", {"__metadata__": {"nssa_gis": text}})
    with pytest.raises(NssaError, match="damaged metadata"):
        load_package(path)


def test_other_safetensors_and_newer_formats_are_named(tmp_path):
    with pytest.raises(NssaError, match="no nssa-gis model package"):
        load_package(header_file(tmp_path / "a.safetensors", {"t": {}}))
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
        assert "__metadata__" in read_header(path)


def test_the_built_in_models_are_those_that_help_names():
    (text,) = (row["help"] for row in options_table() if row["name"] == "model")
    assert set(re.findall(r"aerial-[a-z0-9]+", text)) == set(built_in_models())
    assert load_package("aerial-4").info.classes == ("vehicle", "airplane", "ship", "storage-tank")
    assert load_package().info.classes == ("vehicle",)


def described(path, package, **changes):
    """The same weights under another description."""
    header = read_header(package)
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
    "changes",
    [
        {"gsd": float("nan")},
        {"gsd_range": [0.5, 0.1]},
        {"classes": "vehicle"},
        {"classes": []},
        {"classes": [1]},
        {"name": 7},
        {"licence": "\ud800"},
        {"score_threshold": {"a": 1}},
        {"nms_iou": 2},
        {"tile": 640.5},
        {"overlap": 640},
        {"metrics": []},
    ],
)
def test_metadata_of_the_wrong_kind_is_refused(package, tmp_path, changes):
    with pytest.raises(NssaError, match="damaged metadata"):
        load_package(described(tmp_path / "wrong.safetensors", package, **changes))
