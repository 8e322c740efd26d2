import csv
import json
import sys

import numpy as np
import pytest
from PIL import Image

from nssa_gis.errors import NssaError
from nssa_gis.pictures.curve import Curve, write_curves
from nssa_gis.train.log import TrainingLog, read_runs


def step(number, loss=1.0):
    return {"event": "step", "step": number, "elapsed": number * 0.5, "loss": loss, "classes": 0.6, "boxes": 0.2} | {
        "positives": 7,
        "norm": 1.5,
        "rate": 1e-3,
    }


def look(number, ap50, **sources):
    found = {k: {"ap50": v, "ap": v / 2} for k, v in ({**sources, "all": ap50}).items()}
    return {"event": "validate", "step": number, **found}


def write(folder, events):
    log = TrainingLog(folder / "log.jsonl")
    for event in events:
        log.write(event)
    log.close()
    return folder


def read_curves(paths):
    return [Curve.of(run.name, run.events, run.path) for run in read_runs(paths)]


def test_log_is_json_even_where_a_figure_is_not_a_number(tmp_path):
    write(tmp_path, [step(1, loss=float("nan")), look(1, float("nan"))])

    def refuse(word):
        raise AssertionError(word)

    for line in (tmp_path / "log.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=refuse)
    curve = read_curves([tmp_path])[0]
    assert np.isnan(curve.figures["loss"]).all() and np.isnan(curve.accuracy["all"]["ap50"]).all()


def test_table_has_a_row_per_step_and_the_last_of_a_doubled_one(tmp_path):
    one = write(tmp_path / "one", [step(1, 4.0), step(2, 3.0), step(2, 2.5), look(2, 0.25, cars=0.5)])
    two = write(tmp_path / "two", [look(7, 0.75)])
    write_curves(read_curves([one, two]), tmp_path / "t.csv")
    rows = list(csv.DictReader(open(tmp_path / "t.csv")))
    assert [(r["run"], r["step"], r["loss"]) for r in rows] == [
        ("one", "1", "4"),
        ("one", "2", "2.5"),
        ("two", "7", ""),
    ]
    assert [(r["ap50 cars"], r["ap50 all"], r["ap all"]) for r in rows] == [
        ("", "", ""),
        ("0.5", "0.25", "0.125"),
        ("", "0.75", "0.375"),
    ]


def test_runs_are_named_by_what_tells_them_apart(tmp_path):
    runs = [write(tmp_path / a / "run", [step(1)]) for a in ("x", "y")]
    assert [c.name for c in read_curves(runs)] == ["x/run", "y/run"]
    assert [c.name for c in read_curves(runs[:1])] == ["run"]
    assert [c.name for c in read_curves([runs[0], runs[0]])] == ["run", "run"]


@pytest.mark.parametrize("some", ["steps", "looks", "both", "two"])
@pytest.mark.slow
def test_picture_of_any_log(tmp_path, some):
    pytest.importorskip("matplotlib")
    steps = [step(i, 5 / i) for i in range(1, 90)] if some != "looks" else []
    looks = [look(40, 0.3, a=0.2, b=0.5), look(80, 0.4, a=0.3)] if some != "steps" else []
    run = write(tmp_path / "run", steps + looks)
    other = write(tmp_path / "other", [step(i, 9 / i) for i in range(1, 90)] + [look(50, 0.6)])
    write_curves(read_curves([run, other] if some == "two" else [run]), tmp_path / "c.png")
    picture = np.asarray(Image.open(tmp_path / "c.png").convert("RGB"))
    assert min(picture.shape[:2]) > 800
    third = len(picture) // 3
    blue = (np.abs(picture.astype(int) - [31, 119, 180]).sum(-1) < 30).sum(1)  # the first colour of matplotlib
    assert (blue[:third].sum() > 100) == (some != "looks")
    orange = (np.abs(picture.astype(int) - [255, 127, 14]).sum(-1) < 30).sum(1)
    assert (orange[-third:].sum() > 30) == (some != "steps")


def test_what_cannot_be_drawn_is_told_in_one_line(tmp_path, capsys, monkeypatch):
    from nssa_gis_cli.main import main

    run = write(tmp_path / "run", [step(1)])
    empty = write(tmp_path / "empty", [{"event": "data"}])
    (tmp_path / "other.txt").write_text("hello\nworld\n")
    (tmp_path / "list.jsonl").write_text('{"event": "step", "step": 1, "loss": [1]}\n')
    for runs, output, told, code in (
        ([run], "c.gif", "ends in .png", 2),
        ([empty], "c.png", "nothing to draw", 1),
        ([tmp_path], "c.png", "no readable training log", 1),
        ([tmp_path / "other.txt"], "c.png", "line 1 is not of a training log", 1),
        ([tmp_path / "list.jsonl"], "c.png", "not a training log of this version", 1),
        ([run], "no/folder/c.csv", "cannot be written", 1),
    ):
        assert main(["curve", *map(str, runs), "-o", str(tmp_path / output)]) == code
        error = capsys.readouterr().err
        assert told in error and error.count("\n") == 1
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(NssaError, match=r"nssa-gis\[plot\]"):
        write_curves(read_curves([run]), tmp_path / "c.png")
    assert {p.name for p in tmp_path.iterdir()} == {"run", "empty", "other.txt", "list.jsonl"}


def test_command_writes_table(tmp_path, capsys):
    from nssa_gis_cli.main import main

    write(tmp_path / "run", [step(1)])
    assert main(["curve", str(tmp_path / "run"), "-o", str(tmp_path / "c.csv")]) == 0
    assert capsys.readouterr().out.strip().endswith("c.csv")
    assert (tmp_path / "c.csv").read_text().startswith("run,step,elapsed,loss")
