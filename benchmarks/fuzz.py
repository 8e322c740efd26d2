"""Damaged scenes, model packages and journals: each must give a result or an NssaError, within seconds.

Each target runs in its own processes (``nssa_gis.testing.damage`` makes and tries the files; the tests include a short
version). A finding is another exception, a process that died, or a case that takes more than 5 seconds. ``--keep``
keeps its file.

``python -m benchmarks.fuzz [--minutes M] [--seed N] [--keep DIR] [--quick] [--json FILE]``
"""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import ROOT, parser, print_rows, write_json
from nssa_gis.testing.damage import TARGETS

_HANG = 5.0
#: Memory limit: a damaged file must not make the program allocate any amount of memory.
_MEMORY = 8 << 30
_WORKER = "import sys, benchmarks.fuzz as m; m.worker(*sys.argv[1:])"


def worker(target: str, folder: str, seed: str, first: str, until: str) -> None:
    """Try cases from number `first` until a time; the current case is in ``case``, the findings in ``findings``."""
    make, damage, probe = TARGETS[target]
    place = Path(folder)
    resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))
    whole = [path.read_bytes() for path in make(place)]
    names = [path.suffix for path in place.iterdir()]
    number = int(first)
    while time.time() < float(until):
        rng = np.random.default_rng([int(seed), number])
        case = place / f"case{names[0]}"
        case.write_bytes(damage(whole[int(rng.integers(len(whole)))], rng))
        (place / "number").write_text(str(number))
        faulthandler.dump_traceback_later(_HANG, exit=True)
        begun = time.monotonic()
        try:
            probe(case)
        except BaseException:
            _find(place, number, traceback.format_exc())
        faulthandler.cancel_dump_traceback_later()
        with open(place / "seconds", "a") as log:
            log.write(f"{time.monotonic() - begun:.4f}\n")
        number += 1


def _find(place: Path, number: int, text: str) -> None:
    case = next(place.glob("case*"))
    shutil.copy(case, place / f"finding{number}{case.suffix}")
    with open(place / "findings", "a") as file:
        file.write(json.dumps({"case": number, "what": text.strip().splitlines()[-1], "trace": text}) + "\n")


def run(target: str, folder: Path, seed: int, seconds: float) -> dict[str, Any]:
    """Fuzz one target for some seconds; a worker that dies is a finding, and a new worker continues after it."""
    folder.mkdir()
    until, first = time.time() + seconds, 0
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    while time.time() < until:
        command = [sys.executable, "-c", _WORKER, target, str(folder), str(seed), str(first), str(until)]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        if done.returncode == 0:
            break
        if not (folder / "number").exists():
            raise RuntimeError(f"the {target} worker cannot start: {done.stderr.strip()}")
        number = int((folder / "number").read_text())
        why = f"over {_HANG:.0f} s" if "Timeout" in done.stderr else f"died with {done.returncode}"
        _find(folder, number, f"{done.stderr}\n{why}")
        first = number + 1
    findings = []
    with contextlib.suppress(FileNotFoundError):
        findings = [json.loads(line) for line in (folder / "findings").read_text().splitlines()]
    times = np.loadtxt(folder / "seconds", ndmin=1)
    for kind in sorted({f["what"] for f in findings}):
        print(next(f for f in findings if f["what"] == kind)["trace"], file=sys.stderr)
    return {
        "target": target,
        "cases": len(times),
        "seconds": round(seconds),
        "slowest_s": round(float(times.max()), 2),
        "findings": len(findings),
        "kinds": sorted({f["what"][:200] for f in findings}),
    }


def main() -> None:
    """Measure and print."""
    options = parser("Damaged scenes, packages and journals: each must give a result or an NssaError.")
    options.add_argument("--minutes", type=float, metavar="M", help="in all (default 10, quick 0.75)")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--target", choices=("scene", "package", "journal"), action="append", help="only this")
    options.add_argument("--keep", type=Path, metavar="DIR", help="folder for the files of the findings")
    asked = options.parse_args()
    minutes = asked.minutes or (0.75 if asked.quick else 10.0)
    targets = asked.target or ["scene", "package", "journal"]
    rows = []
    with tempfile.TemporaryDirectory() as name:
        for target in targets:
            folder = Path(name) / target
            rows.append(run(target, folder, asked.seed, 60 * minutes / len(targets)))
            if asked.keep:
                asked.keep.mkdir(parents=True, exist_ok=True)
                for path in folder.glob("finding[0-9]*"):
                    shutil.copy(path, asked.keep / f"{target}-{path.name}")
    print_rows(rows)
    write_json(rows, asked.json)


if __name__ == "__main__":
    main()
