"""Entry point: finds the command, and turns every end of a run into one line and an exit code."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import sys
import threading
import warnings
from collections.abc import Sequence
from types import FrameType
from typing import Any, NoReturn

import click

from nssa_gis import __version__
from nssa_gis.environment import use_own_settings
from nssa_gis.errors import explained
from nssa_gis_cli import streams
from nssa_gis_cli.console import fail, log_on_stderr, wants_json

#: Command to what ``nssa-gis --help`` says of it: no command is imported for that.
COMMANDS = {
    "detect": "Find objects in a scene and write a vector layer.",
    "batch": "Run detect over folders of scenes, one layer each.",
    "info": "Describe a scene or a model.",
    "preview": "Draw a scene and its layer as a PNG picture.",
    "train": "Train a model on labelled images.",
    "curve": "Draw how a training went: loss, learning rate and accuracy over the steps.",
    "suggest": "Write pseudo-labels for unlabelled images with a model.",
    "evaluate": "Measure the accuracy of a model on a labelled dataset.",
    "export": "Write a model as an ONNX file.",
    "doctor": "Check the installation and show which device would be used.",
}

#: After the first Ctrl-C a run has this long to stop by itself; what is on disk is safe at any time.
_GRACE_SECONDS = 2.5
_INTERRUPTED = 130
#: Set to ``stdin`` by a program that runs us: the end of our standard input then asks us to stop, like Ctrl-C. It works
#: on every system and through wrapper scripts, where a signal may reach nobody (the QGIS plugin uses it).
_STOP_CHANNEL = "NSSA_GIS_STOP"
#: Set when the last line of the run is out.
_SAID = threading.Event()


class _Commands(click.Group):
    """Loads ``nssa_gis_cli.<command>`` when the command is asked for."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(importlib.import_module(f"nssa_gis_cli.{cmd_name}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="nssa-gis", message="%(prog)s %(version)s")
def cli() -> None:
    """Find objects of a few pixels in large georeferenced images.

    \b
    nssa-gis detect scene.tif -o cars.gpkg
    nssa-gis COMMAND --help

    Exit codes: 0 done, 1 failed, 2 wrong usage, 3 nothing readable in a batch, 130 interrupted.
    """


def run(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit.

    Parameters
    ----------
    argv : sequence of str, optional
        Arguments without the program's name; those of the process by default.
    """
    argv = sys.argv[1:] if argv is None else argv
    streams.make_safe()
    use_own_settings()
    channel = os.environ.pop(_STOP_CHANNEL, "") == "stdin"  # popped: it is not meant for what we start ourselves
    _on_signals(argv, even_if_ignored=channel)
    sys.exit(main(argv, stop_at_end_of_input=channel))


def main(argv: Sequence[str], stop_at_end_of_input: bool = False) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str
        Arguments without the program's name.
    stop_at_end_of_input : bool
        Take the end of standard input for a Ctrl-C.

    Returns
    -------
    int
        The exit code.
    """
    debug = "--debug" in argv
    if not debug:
        warnings.simplefilter("ignore")  # libraries' warnings are for programmers
    try:
        if stop_at_end_of_input:
            threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
        with log_on_stderr(as_json=wants_json(argv)) if debug else contextlib.nullcontext():
            code: Any = cli.main(args=list(argv), prog_name="nssa-gis", standalone_mode=False)
    except click.exceptions.NoArgsIsHelpError as error:
        click.echo(error.format_message(), err=True)
        return 2
    except (KeyboardInterrupt, click.Abort):
        return _told("interrupted", _INTERRUPTED, argv)
    except BrokenPipeError:  # the reader of our output went away, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except Exception as error:
        if debug and not isinstance(error, click.ClickException):
            raise
        return _told(*_explain(error), argv)
    return code if isinstance(code, int) else 0


def _explain(error: Exception) -> tuple[str, int]:
    """One line and an exit code."""
    if isinstance(error, click.UsageError):
        command = error.ctx.command_path if error.ctx else "nssa-gis"
        return f"{error.format_message().rstrip('.')}; see {command} --help", error.exit_code
    if isinstance(error, click.ClickException):
        return error.format_message(), error.exit_code
    known = explained(error)
    return str(known), known.exit_code


def _told(message: str, code: int, argv: Sequence[str]) -> int:
    _SAID.set()
    fail(" ".join(message.split()), code, as_json=wants_json(argv))
    return code


def _give_up(argv: Sequence[str]) -> None:
    """End a run that does not stop by itself, with its line if that is still to come."""
    try:
        if not _SAID.is_set():
            _told("interrupted; what was finished is kept", _INTERRUPTED, argv)
    finally:
        os._exit(_INTERRUPTED)


def _stop_at_end_of_input() -> None:
    """Interrupt the main thread, as Ctrl-C does, when standard input is closed."""
    try:
        while os.read(0, 4096):  # not sys.stdin: its lock would be held when Python shuts down
            pass
    except OSError:
        return  # there is none
    main_thread = threading.main_thread().ident
    if main_thread is not None and hasattr(signal, "pthread_kill"):
        signal.pthread_kill(main_thread, signal.SIGINT)  # at this thread, so that a call in which it waits ends
    else:
        signal.raise_signal(signal.SIGINT)


def _on_signals(argv: Sequence[str], even_if_ignored: bool = False) -> None:
    """Make Ctrl-C and SIGTERM end a run alike: soon, with 130; a second one at once."""
    seen = threading.Event()

    def stop(number: int, frame: FrameType | None) -> None:
        if seen.is_set():
            os._exit(_INTERRUPTED)
        seen.set()
        watchdog = threading.Timer(_GRACE_SECONDS, _give_up, (argv,))
        watchdog.daemon = True
        watchdog.start()
        raise KeyboardInterrupt

    for name in (signal.SIGINT, signal.SIGTERM):
        # a parent that wants it ignored (nohup) is obeyed, unless it asked for another way to stop us
        if even_if_ignored or signal.getsignal(name) is not signal.SIG_IGN:
            signal.signal(name, stop)


if __name__ == "__main__":
    run()
