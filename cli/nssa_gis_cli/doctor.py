"""``nssa-gis doctor``."""

from __future__ import annotations

import json

import click

from nssa_gis_cli.options import command, json_option
from nssa_gis_cli.tables import lines


@command()
@json_option
def doctor(as_json: bool) -> int:
    """Check the installation and show which device would be used.

    Exit code 1 if something that detect needs is broken.
    """
    from nssa_gis.detect.diagnosis import diagnose

    found = diagnose()
    if as_json:
        click.echo(json.dumps({**found.facts, "problems": list(found.problems)}, indent=2))
    else:
        for section, facts in found.facts.items():
            click.secho(section, bold=True)
            click.echo(lines(facts))
        for problem in found.problems:
            click.secho(f"problem: {problem}", fg="red")
        click.echo("everything that detect needs works" if not found.problems else "detect will not work")
    return 1 if found.problems else 0
