import json

import pytest


@pytest.mark.slow
def test_table_and_json(cli):
    text = cli("info", "--model-config", "nssa-n", "--input-size", 128).stdout
    assert "diffusion wavelet convolution" in text
    assert "whole network" in text
    facts = json.loads(cli("info", "--model-config", "nssa-n", "--input-size", 128, "--json").stdout)
    assert facts["total"]["parameters"] == sum(p["parameters"] for p in facts["parts"])
    plain = json.loads(cli("info", "--model-config", "nssa-n-plain", "--input-size", 128, "--json").stdout)
    assert plain["total"]["gmacs"] < facts["total"]["gmacs"]
    assert not [p for p in plain["parts"] if "attention" in p["part"] or "wavelet" in p["part"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--model-config", "nssa-x"], "known: nssa-n"),
        ([], "give either"),
        (["scene.tif", "--model-config", "nssa-n"], "give either"),
        (["--model-config", "nssa-n", "--input-size", 100], "multiple of 64"),
    ],
)
@pytest.mark.slow
def test_misuse(cli, arguments, message):
    done = cli("info", *arguments)
    assert done.returncode == 2
    assert message in done.stderr


@pytest.mark.slow
def test_a_network_of_ones_own_from_a_file(cli, tmp_path):
    path = tmp_path / "mine.toml"
    path.write_text('base = "nssa-n"\nwavelet = false\n')
    facts = json.loads(cli("info", "--model-config", path, "--input-size", 64, "--json").stdout)
    assert facts["network"] == "mine"
    assert not [p for p in facts["parts"] if "wavelet" in p["part"]]
    done = cli("train", tmp_path, "-o", tmp_path / "x.safetensors", "--classes", "car", "--steps", 1, "--size", "huge")
    assert done.returncode == 2
    assert "--size huge: unknown network 'nssa-huge'" in done.stderr
