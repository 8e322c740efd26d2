"""Benchmarks run as their README prints them, and write JSON that any program reads."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.results import save_json


def test_numbers_that_json_does_not_have_become_null(tmp_path):
    save_json(tmp_path / "a.json", {"rows": [{"sd": float("nan"), "ap": 0.5, "more": (np.inf, 1)}]})
    text = (tmp_path / "a.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail) == {"rows": [{"sd": None, "ap": 0.5, "more": [None, 1]}]}


@pytest.mark.slow
def test_the_ablation_needs_no_further_options(tmp_path):
    command = [sys.executable, "-m", "benchmarks.ablation", "--size", "nssa-n", "--quick", "--variants", "plain"]
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [*command, "--json", tmp_path / "a.json"], cwd=root, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr
    (row,) = json.loads((tmp_path / "a.json").read_text(), parse_constant=pytest.fail)["rows"]
    assert row["variant"] == "plain" and row["ap50 sd"] is None and 0 <= row["ap50"] <= 1
