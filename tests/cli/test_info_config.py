import json

import pytest


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
def test_misuse(cli, arguments, message):
    done = cli("info", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
