from nssa_gis.train.log import TrainingLog, read_log


def step(number, loss=1.0):
    return {"event": "step", "step": number, "loss": loss}


def test_log_goes_on_at_the_checkpoint_without_doubled_steps(tmp_path):
    path = tmp_path / "run" / "log.jsonl"
    log = TrainingLog(path)
    for event in ({"event": "data"}, *map(step, (1, 2, 3, 4)), {"event": "validate", "step": 4}):
        log.write(event)
    log.close()
    with open(path, "a") as handle:
        handle.write('{"event": "step", "st')  # killed while writing
    log = TrainingLog(path)
    log.go_on(2)
    assert len(path.read_text().splitlines()) == 7  # nothing is cut before there is something to add
    log.write(step(3, loss=9.0))
    assert [e.get("step") for e in read_log(path)] == [None, 1, 2, 3]  # on disk before the log is closed
    assert read_log(path)[-1]["loss"] == 9.0
    log.close()
    again = TrainingLog(path)
    again.write(step(1))
    again.close()
    assert len(read_log(path)) == 1
