import subprocess
import sys

import pytest


@pytest.fixture
def cli(tmp_path):
    """Run ``nssa-gis`` as users do, from a folder of its own."""

    def run(*arguments):
        command = [sys.executable, "-m", "nssa_gis_cli.main", *map(str, arguments)]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)

    return run
