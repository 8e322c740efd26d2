"""Interrupted runs: killed, disk full, unreadable scene, stopped, started twice.

The real command line runs in its own processes, with a slow detector that finds planted objects
(``nssa_gis.testing.driver``). After each interruption the run is resumed. Its layer must equal that of an undisturbed
run: all records, all fields, geometry to the last bit.

``python -m benchmarks.crash [--quick] [--json FILE]``
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.engine import ROOT, parser, print_rows, write_json
from nssa_gis.testing import DRIVER, layer_records, make_package, make_scene

_TILING = ("--tile", "128", "--overlap", "64", "--progress", "json")
_DELAY = 0.02
_BALLAST = "ballast"

Run = tuple[int, list[dict[str, Any]]]


def start(folder: Path, *arguments: str, delay: float = _DELAY) -> subprocess.Popen[str]:
    """Start a run in a folder that `prepare` made."""
    command = [sys.executable, *DRIVER, str(folder), str(delay), "detect", str(folder / "town.tif")]
    command += ["-o", str(folder / "out.gpkg"), *_TILING, *arguments]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def finish(process: subprocess.Popen[str]) -> Run:
    """Wait for the end; return the exit code and the events."""
    events = process.communicate(timeout=300)[1]
    return process.returncode, [json.loads(line) for line in events.splitlines()]


def prepare(folder: Path, **profile: Any) -> None:
    """Put a scene and a model package into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    make_scene(folder / "town.tif", **profile)
    make_package(folder)


def state(folder: Path) -> str:
    """Return the names of the output files in the folder."""
    names = {p.name.split(".partial")[0] for p in folder.iterdir() if p.name.startswith(("out.", ".out."))}
    return " ".join(sorted(names)) or "nothing"


def resumed(folder: Path, expected: list[Any]) -> dict[str, Any]:
    """Resume the run and compare the layers."""
    code, events = finish(start(folder, "--resume", delay=0))
    first = next((e for e in events if e["event"] == "start"), {})
    same = code == 0 and layer_records(folder / "out.gpkg") == expected
    row = {"resumed_at_tile": first.get("tiles_done"), "same_layer": same, "left_over": state(folder) != "out.gpkg"}
    return row if code == 0 else row | {"resume_error": error_of(events)}


def error_of(events: list[dict[str, Any]]) -> str:
    """Return the message that the user saw, without folders."""
    messages = [e["message"] for e in events if e["event"] == "error"]
    return " ".join(os.path.basename(w) if w.startswith("/") else w for w in messages[-1].split()) if messages else ""


def kills(folder: Path, expected: list[Any], lines: int, count: int, seed: int = 1) -> list[dict[str, Any]]:
    """Kill at random moments: after a random number of printed lines, plus up to the time of one tile."""
    rng = np.random.default_rng(seed)
    rows = []
    for number, line in enumerate(np.sort(rng.choice(lines, count, replace=count > lines)).tolist()):
        place = folder / str(number)
        shutil.copytree(folder / "whole", place)
        process = start(place, "--batch-size", "1")
        assert process.stderr is not None
        last = [json.loads(process.stderr.readline()) for _ in range(line)][-1:]
        time.sleep(rng.uniform(0, _DELAY))
        process.kill()
        process.communicate()
        after = " ".join(f"{e['event']} {e.get('done', '')}".strip() for e in last) or "before the first"
        row: dict[str, Any] = {"what": "kill -9", "after_event": after, "left": state(place)}
        if (place / "out.gpkg").exists():
            same = layer_records(place / "out.gpkg") == expected
            row |= {"resumed_at_tile": "layer was there", "same_layer": same, "left_over": False}
        else:
            row |= resumed(place, expected)
        rows.append(row)
        shutil.rmtree(place)
    return rows


def stop(folder: Path, expected: list[Any], number: signal.Signals) -> dict[str, Any]:
    """Send a stop signal in the middle; the detector is slow, so the signal comes in the middle of a batch."""
    place = folder / number.name
    shutil.copytree(folder / "whole", place)
    process = start(place, delay=0.3)
    assert process.stderr is not None
    for line in process.stderr:
        event = json.loads(line)
        if event["event"] == "tile" and event["done"] >= 40:
            break
    asked = time.monotonic()
    process.send_signal(number)
    code, _ = finish(process)
    row = {"what": number.name, "ended_after_s": round(time.monotonic() - asked, 2), "exit": code, "left": state(place)}
    return row | resumed(place, expected)


def unreadable(folder: Path) -> dict[str, Any]:
    """Truncate the scene, let the run fail, repair the scene, resume."""
    place = folder / "truncated"
    prepare(place, compress="deflate", blockysize=16)
    scene = place / "town.tif"
    finish(start(place, delay=0))
    expected = layer_records(place / "out.gpkg")
    (place / "out.gpkg").unlink()
    whole, stamp = scene.read_bytes(), scene.stat().st_mtime_ns
    kept = len(whole) * 17 // 20
    scene.write_bytes(whole[:kept] + bytes(len(whole) - kept))
    os.utime(scene, ns=(stamp, stamp))
    code, events = finish(start(place, delay=0))
    row = {"what": "strips of the scene lost", "exit": code, "message": error_of(events), "left": state(place)}
    # The journal identifies the scene by size and time: a repaired copy with the old time can be resumed.
    scene.write_bytes(whole)
    os.utime(scene, ns=(stamp, stamp))
    return row | resumed(place, expected)


def twice(folder: Path, expected: list[Any]) -> dict[str, Any]:
    """Start a second run on the output of a running one."""
    place = folder / "twice"
    shutil.copytree(folder / "whole", place)
    first = start(place, delay=0.2)
    assert first.stderr is not None
    for line in first.stderr:
        if json.loads(line)["event"] == "tile":
            break
    code, events = finish(start(place))
    first_code, _ = finish(first)
    same = first_code == 0 and layer_records(place / "out.gpkg") == expected
    return {"what": "second run on one output", "exit": code, "message": error_of(events), "same_layer": same}


def full_disk(folder: Path) -> list[dict[str, Any]]:
    """Run on a file system of 4 MB that only a child process sees; return the reason if that is not possible."""
    place = folder / "small"
    place.mkdir()
    code = "import json, sys, benchmarks.crash as m; print(json.dumps(m.inside_small_disk(sys.argv[1], sys.argv[2])))"
    script = 'mount -t tmpfs -o size=4m tmpfs "$1" && exec "$2" -c "$3" "$1" "$4"'
    command = ["unshare", "--mount", "--map-root-user", "sh", "-c", script, "sh", str(place), sys.executable, code]
    try:
        done = subprocess.run([*command, str(folder / "whole")], cwd=ROOT, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return [{"what": "disk full", "skipped": "no unshare command here"}]
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["?"])[-1]
        return [{"what": "disk full", "skipped": f"no private tmpfs: {reason}"}]
    return list(json.loads(done.stdout.splitlines()[-1]))


def inside_small_disk(disk: str, whole: str) -> list[dict[str, Any]]:
    """Fill the disk to a few kB before each run; then free it, resume and compare."""
    place = Path(disk)
    shutil.copytree(whole, place, dirs_exist_ok=True)
    finish(start(place, delay=0))
    expected = layer_records(place / "out.gpkg")
    rows = []
    for room in (0, 4, 16, 40, 64, 120, 200):
        (place / "out.gpkg").unlink(missing_ok=True)
        free = shutil.disk_usage(place).free
        with open(place / _BALLAST, "wb") as file:
            file.write(bytes(max(0, free - room * 1024)))
        code, events = finish(start(place, delay=0))
        row = {"what": "disk full", "room_kb": room, "exit": code, "message": error_of(events), "left": state(place)}
        (place / _BALLAST).unlink()
        row |= resumed(place, expected) if code else {"same_layer": layer_records(place / "out.gpkg") == expected}
        rows.append(row)
    return rows


def main() -> None:
    """Measure and print."""
    options = parser("Killed, stopped, out of disk: is the resumed layer the same?")
    options.add_argument("--kills", type=int, metavar="N", help="random points of a run at which it is killed")
    asked = options.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        prepare(folder / "whole")
        reference = folder / "reference"
        shutil.copytree(folder / "whole", reference)
        events = finish(start(reference, "--batch-size", "1"))[1]
        # The layer contains the file name of the scene without its folder, so the folders make no difference.
        expected = layer_records(reference / "out.gpkg")
        rows = kills(folder, expected, len(events), asked.kills or (5 if asked.quick else 20))
        rows += [stop(folder, expected, number) for number in (signal.SIGINT, signal.SIGTERM)]
        rows += [unreadable(folder), twice(folder, expected), *full_disk(folder)]
    print_rows(rows)
    tried = [row for row in rows if "skipped" not in row]
    print(f"same layer: {sum(row['same_layer'] for row in tried)} of {len(tried)}")
    write_json(rows, asked.json)


if __name__ == "__main__":
    main()
