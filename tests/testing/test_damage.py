"""A short, repeatable part of ``benchmarks.fuzz``."""

import subprocess
import sys

import numpy as np
import pytest

from nssa_gis.testing.damage import TARGETS


@pytest.mark.parametrize(("target", "cases"), [("scene", 100), ("package", 30), ("journal", 300)])
def test_damaged_files_give_one_line_or_work(target, cases, tmp_path):
    make, damage, probe = TARGETS[target]
    whole = [(path.suffix, path.read_bytes()) for path in make(tmp_path)]
    for number in range(cases):
        rng = np.random.default_rng([7, number])
        suffix, content = whole[rng.integers(len(whole))]
        case = tmp_path / f"case{suffix}"
        case.write_bytes(damage(content, rng))
        probe(case)


def test_reading_the_header_of_a_package_imports_no_torch(tmp_path):
    path = TARGETS["package"][0](tmp_path)[0]
    code = (
        "import sys; from nssa_gis.runtime.package import load_package; "
        "load_package(sys.argv[1]); assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(path)], check=True)
