"""Parameters of the pictures."""

from __future__ import annotations

from pydantic import Field

from nssa_gis.detect.parameters import Parameters, about


class PreviewOptions(Parameters):
    """Parameters of a preview."""

    size: int = Field(
        default=1600,
        ge=200,
        le=8000,
        description="Longest side of the overview.",
        json_schema_extra=about("Output", "output", unit="px", metavar="PX"),
    )
    details: int = Field(
        default=3,
        ge=0,
        le=8,
        description="Number of places that are drawn enlarged.",
        json_schema_extra=about("Output", "output", metavar="N"),
    )
    crs: str | None = Field(
        default=None,
        min_length=1,
        description="CRS of a scene whose file states none, as given to detect.",
        json_schema_extra=about("Scene", "output", metavar="CRS", default_text="the file's"),
    )
