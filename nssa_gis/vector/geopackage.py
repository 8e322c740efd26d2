"""A GeoPackage that holds more than the layer: rows and layers are added to it in one SQLite transaction.

The file may be open in QGIS or another program. It is never replaced under them: what they commit stays, and what is
written here appears at once or not at all.
"""

from __future__ import annotations

import contextlib
import sqlite3
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import shapely
from pyproj import CRS
from pyproj.exceptions import CRSError

from nssa_gis.errors import NssaError
from nssa_gis.vector.schema import FIELDS, GeometryKind

#: How long a lock of another program is waited for, seconds: before the work, and when the rows are ready.
_WAIT_BEFORE, _WAIT = 1.0, 30.0
#: Tables that belong to the format, and that of QGIS for styles.
_SYSTEM = (
    "gpkg_spatial_ref_sys",
    "gpkg_contents",
    "gpkg_geometry_columns",
    "gpkg_tile_matrix_set",
    "gpkg_tile_matrix",
    "gpkg_extensions",
    "gpkg_data_columns",
    "gpkg_data_column_constraints",
    "gpkg_metadata",
    "gpkg_metadata_reference",
    "gpkg_ogr_contents",
    "layer_styles",
)
_STYLES = "layer_styles"
#: Tables that name other tables, and the column that does, in the order in which rows are copied.
_REGISTERS = (
    ("gpkg_contents", "table_name"),
    ("gpkg_geometry_columns", "table_name"),
    ("gpkg_extensions", "table_name"),
    ("gpkg_ogr_contents", "table_name"),
    (_STYLES, "f_table_name"),
)
#: Geometry types of a layer that can hold each kind.
_HOLDS = {
    "polygon": ("POLYGON", "MULTIPOLYGON", "GEOMETRY", "CURVEPOLYGON", "SURFACE"),
    "point": ("POINT", "MULTIPOINT", "GEOMETRY"),
}
_NOW = "strftime('%Y-%m-%dT%H:%M:%fZ', 'now')"


@dataclass(frozen=True)
class ExistingLayer:
    """A layer of a GeoPackage that rows are to be added to.

    Attributes
    ----------
    name : str
        The layer named like the file, or the only one.
    geometry : str
        Geometry type as the file declares it, in capitals.
    has_z : bool
        Whether every geometry must have a height.
    srs_id : int
        Number of the CRS in the file.
    crs : pyproj.CRS or None
    """

    name: str
    geometry: str
    has_z: bool
    srs_id: int
    crs: CRS | None

    @property
    def multi(self) -> bool:
        """Whether every geometry must be one of several parts."""
        return self.geometry.startswith("MULTI")


def existing_layer(path: Path, geometry: GeometryKind, layer: str) -> ExistingLayer:
    """Look at the layer that rows are to be added to: that named ``layer`` or like the file, or the only one.

    Raises
    ------
    NssaError
        It is not a GeoPackage, has no such layer, the layer cannot take the rows, or another program is writing to it.
    """
    try:
        with _opened(path, _WAIT_BEFORE) as connection:
            found = _describe(connection, path, geometry, layer)
            _check_not_locked(connection)
    except sqlite3.Error as error:
        raise NssaError(f"{path}: cannot be appended to ({error}); give a GeoPackage or use --overwrite") from error
    return found


def other_tables(path: Path, layer: str) -> tuple[str, ...]:
    """Name what a file holds beside one layer: layers and tables of other people. A file of another kind has none.

    Raises
    ------
    NssaError
        Another program is writing to the file, it is a database of another kind, or ``layer`` is something else than a
        vector layer.
    """
    with path.open("rb") as file:
        if file.read(15) != b"SQLite format 3":
            return ()
    try:
        with _opened(path, _WAIT_BEFORE) as connection:
            there = "SELECT name, coalesce(sql, '') FROM sqlite_master WHERE type IN ('table', 'view')"
            made = {_folded(name): (name, sql) for name, sql in connection.execute(there)}
            if made and "gpkg_contents" not in made:
                raise NssaError(f"{path}: it is a database of another kind; give another file name")
            if _folded(layer) in made:
                _check_replaceable(connection, path, made[_folded(layer)][0])
            indexes = [name for name, (_, sql) in made.items() if sql.upper().startswith("CREATE VIRTUAL")]
            shadows = {f"{name}_{part}" for name in indexes for part in ("node", "parent", "rowid")}
            ours = {_folded(layer), *_SYSTEM, *indexes, *shadows}
            others = tuple(name for key, (name, _) in made.items() if key not in ours and not key.startswith("sqlite_"))
            _check_not_locked(connection)
    except sqlite3.Error as error:
        raise NssaError(f"{path}: what it holds cannot be read ({error}); give another file name") from error
    return others


def row_state(path: Path, layer: str) -> list[int]:
    """Give two numbers that change when rows are added to a layer: how many there are, and the last key."""
    with _opened(path, _WAIT_BEFORE) as connection:
        query = f"SELECT count(*), coalesce(max(rowid), 0) FROM main.{_quoted(layer)}"
        return list(connection.execute(query).fetchone())


def _check_replaceable(connection: sqlite3.Connection, path: Path, layer: str) -> None:
    query = "SELECT data_type FROM gpkg_contents WHERE lower(table_name) = lower(?)"
    if connection.execute(query, (layer,)).fetchone() != ("features",):
        raise NssaError(f"{path}: its table {layer} is no vector layer and is not replaced; give another file name")
    _check_table(connection, path, layer)


def _check_table(connection: sqlite3.Connection, path: Path, layer: str) -> None:
    if connection.execute("SELECT type FROM main.sqlite_master WHERE name = ?", (layer,)).fetchone() != ("table",):
        raise NssaError(
            f"{path}: its layer {layer} is a view of other tables and cannot be changed; give another file name"
        )


def append_rows(fresh: Path, path: Path, layer: ExistingLayer, geometry: GeometryKind) -> None:
    """Add the rows of a layer, numbers going on from the last ``id``, in one transaction.

    Parameters
    ----------
    fresh : Path
        GeoPackage with one layer of the rows, numbered from 1.
    path : Path
        GeoPackage to add to.
    layer : ExistingLayer
        As it was found before the work.
    geometry : {"polygon", "point"}
        What the rows hold.

    Raises
    ------
    NssaError
        The layer changed since it was looked at, or another program is writing to it.
    sqlite3.Error
        The file cannot be written; it stays as it was.
    """
    with _transaction(path, fresh) as connection:
        if _describe(connection, path, geometry, layer.name) != layer:
            raise NssaError(f"{path}: the layer {layer.name} was changed by another program meanwhile; run again")
        (source, source_srs), (target,) = _layers(connection, "fresh")[0], _geometry_column(connection, layer.name)
        (place,) = _geometry_column(connection, source, "fresh")
        if source_srs != layer.srs_id:
            _number_srs(connection, layer.srs_id)
        # an id may have become text, or be missing
        query = f"SELECT max(CAST(id AS INTEGER)), count(*) FROM main.{_quoted(layer.name)}"
        last, rows = connection.execute(query).fetchone()
        if (last or 0) > 2**62:  # nonsense that leaves no room for further numbers
            last = rows
        names = [f.name for f in FIELDS if f.name != "id"]
        columns = ", ".join(map(_quoted, names))
        shape = _quoted(place) if source_srs == layer.srs_id else f"with_srs({_quoted(place)})"
        connection.execute(
            f"INSERT INTO main.{_quoted(layer.name)} ({_quoted(target)}, id, {columns}) "
            f"SELECT {shape}, id + ?, {columns} FROM fresh.{_quoted(source)} ORDER BY id",
            (last or 0,),
        )
        bounds = connection.execute("SELECT min_x, min_y, max_x, max_y FROM fresh.gpkg_contents").fetchone()
        wider = ", ".join(
            f"{edge} = {edge[:3]}(coalesce({edge}, ?{i}), coalesce(?{i}, {edge}))"
            for i, edge in enumerate(("min_x", "min_y", "max_x", "max_y"), 1)
        )
        connection.execute(
            f"UPDATE main.gpkg_contents SET last_change = {_NOW}, {wider} WHERE table_name = ?5", (*bounds, layer.name)
        )


def replace_layer(fresh: Path, path: Path, layer: str) -> None:
    """Put a layer into a GeoPackage in place of the one of its name, in one transaction; all else stays.

    Parameters
    ----------
    fresh : Path
        GeoPackage with this one layer and its style.
    path : Path
        GeoPackage with other layers.
    layer : str
        Name of the layer in both.

    Raises
    ------
    NssaError
        Another program is writing to the file.
    sqlite3.Error
        The file cannot be written; it stays as it was.
    """
    with _transaction(path, fresh) as connection:
        _drop(connection, layer)
        _add(connection, layer)


def _describe(connection: sqlite3.Connection, path: Path, geometry: GeometryKind, layer: str) -> ExistingLayer:
    rows = connection.execute(
        "SELECT table_name, coalesce(geometry_type_name, 'GEOMETRY'), z, m, coalesce(srs_id, 0) "
        "FROM main.gpkg_geometry_columns ORDER BY table_name"
    ).fetchall()
    chosen = [row for row in rows if _folded(row[0]) in (_folded(layer), _folded(path.stem))] or rows
    if len(chosen) != 1:
        raise NssaError(
            f"{path}: has {len(rows)} layers and none named {path.stem}; append to a file that nssa-gis wrote"
        )
    name, kind, z, m, srs_id = chosen[0]
    _check_table(connection, path, name)
    if m == 1:
        raise NssaError(f"{path}: the geometries of its layer {name} must have measures (m); write another file")
    columns = {row[1].lower(): row for row in connection.execute(f"PRAGMA main.table_info({_quoted(name)})").fetchall()}
    missing = [f.name for f in FIELDS if f.name not in columns]
    if missing:
        raise NssaError(f"{path}: its layer {name} lacks the field {missing[0]}; append to a layer that nssa-gis wrote")
    filled = {f.name for f in FIELDS}
    (place,) = _geometry_column(connection, name)
    for column, (_, _, _, required, default, key) in columns.items():
        if required and default is None and not key and column not in filled and column != place.lower():
            raise NssaError(
                f"{path}: its layer {name} demands a value of the field {column}, which is unknown; write another file"
            )
    if kind.upper() not in _HOLDS[geometry]:
        others = [other for other, kinds in _HOLDS.items() if kind.upper() in kinds]
        advice = f"give --geometry {others[0]}" if others else "write another file"
        raise NssaError(f"{path}: its layer {name} holds {kind.lower()}s; {advice}")
    return ExistingLayer(name, kind.upper(), z == 1, srs_id, _crs(connection, path, srs_id))


def _crs(connection: sqlite3.Connection, path: Path, srs_id: int) -> CRS | None:
    # Not by GDAL: it has an SQLite of its own, and as it closes the file, the locks held here would be gone.
    if srs_id <= 0:
        return None
    query = "SELECT * FROM main.gpkg_spatial_ref_sys WHERE srs_id = ?"
    columns = _columns(connection, "main", "gpkg_spatial_ref_sys")
    row = dict(zip(columns, connection.execute(query, (srs_id,)).fetchone() or (), strict=False))
    definitions = (
        f"{row.get('organization')}:{row.get('organization_coordsys_id')}",
        row.get("definition_12_063"),
        row.get("definition"),
    )
    for text in definitions:
        with contextlib.suppress(CRSError):
            return CRS.from_user_input(text or "undefined")
    raise NssaError(f"{path}: its coordinate system {srs_id} cannot be read; write another file")


def _drop(connection: sqlite3.Connection, layer: str) -> None:
    """Remove a layer with its index and its entries in the registers."""
    known = _tables(connection, "main")
    query = "SELECT column_name FROM main.gpkg_geometry_columns WHERE lower(table_name) = lower(?)"
    indexes = {_folded(f"rtree_{layer}_{column}") for (column,) in connection.execute(query, (layer,)).fetchall()}
    for name in known:
        if _folded(name) in indexes:  # the shadow tables of an index go with it
            connection.execute(f"DROP TABLE main.{_quoted(name)}")
    for name in known:
        if _folded(name) == _folded(layer):
            connection.execute(f"DROP TABLE main.{_quoted(name)}")
    if "gpkg_metadata_reference" in known:
        named = "SELECT md_file_id FROM main.gpkg_metadata_reference WHERE coalesce(lower(table_name), '')"
        connection.execute(
            f"DELETE FROM main.gpkg_metadata WHERE id IN ({named} = lower(?1)) AND id NOT IN ({named} != lower(?1))",
            (layer,),
        )
    more = [("gpkg_metadata_reference", "table_name"), ("gpkg_data_columns", "table_name")]
    for table, column in [*more, *reversed(_REGISTERS)]:
        if table in known and column in _columns(connection, "main", table):
            connection.execute(f"DELETE FROM main.{table} WHERE lower({column}) = lower(?)", (layer,))


def _add(connection: sqlite3.Connection, layer: str) -> None:
    """Copy a layer from the file ``fresh`` with its index, triggers, style and entries in the registers."""
    ((name, srs),) = _layers(connection, "fresh")
    made = _tables(connection, "fresh")
    for table in (*(register for register, _ in _REGISTERS), "gpkg_metadata", "gpkg_metadata_reference"):
        if table in made and table not in _tables(connection, "main"):
            connection.execute(made[table])
    srs_id = _srs_in(connection, srs)
    _number_srs(connection, srs_id)
    (place,) = _geometry_column(connection, name, "fresh")
    columns = _columns(connection, "fresh", name)
    listed = ", ".join(map(_quoted, columns))
    values = ", ".join(f"with_srs({_quoted(c)})" if c == place and srs_id != srs else _quoted(c) for c in columns)
    connection.execute(made[name])
    connection.execute(f"INSERT INTO main.{_quoted(name)} ({listed}) SELECT {values} FROM fresh.{_quoted(name)}")
    for index, sql in made.items():
        if sql.upper().startswith("CREATE VIRTUAL"):
            connection.execute(sql)
            connection.execute(f"INSERT INTO main.{_quoted(index)} SELECT * FROM fresh.{_quoted(index)}")
    # after the rows: they are in the index and counted already
    query = "SELECT sql FROM fresh.sqlite_master WHERE type IN ('trigger', 'index') AND tbl_name = ? AND sql NOT NULL"
    for (sql,) in connection.execute(query, (name,)).fetchall():
        connection.execute(sql)
    for table, column in _REGISTERS:
        if table in made and column in _columns(connection, "main", table):
            _copy(connection, table, f"{column} = ?", (name,), {"srs_id": srs_id})
    for (id_,) in (
        connection.execute("SELECT id FROM fresh.gpkg_metadata").fetchall() if "gpkg_metadata" in made else ()
    ):
        _copy(connection, "gpkg_metadata", "id = ?", (id_,), {})
        (new,) = connection.execute("SELECT last_insert_rowid()").fetchone()
        _copy(connection, "gpkg_metadata_reference", "md_file_id = ?", (id_,), {"md_file_id": new})
    for table in ("gpkg_extensions", "gpkg_contents"):  # what the format asks for new kinds of tables
        key = "table_name"
        _copy(
            connection,
            table,
            f"{key} != ? AND {key} NOT IN (SELECT {key} FROM main.{table} WHERE {key} NOT NULL)",
            (name,),
            {},
        )
    connection.execute(f"UPDATE main.gpkg_contents SET last_change = {_NOW} WHERE table_name = ?", (name,))


def _srs_in(connection: sqlite3.Connection, number: int) -> int:
    """Find the CRS of ``fresh`` in the file, or add it; give its number there."""
    if number <= 0:
        return number
    table = "gpkg_spatial_ref_sys"
    have = _columns(connection, "main", table)
    for column in _columns(connection, "fresh", table):
        if column not in have:  # definitions in WKT 2 are an extension
            connection.execute(f"ALTER TABLE main.{table} ADD COLUMN {_quoted(column)} TEXT DEFAULT 'undefined'")
    wanted = connection.execute(
        f"SELECT organization, organization_coordsys_id, definition FROM fresh.{table} WHERE srs_id = ?", (number,)
    ).fetchone()
    same = connection.execute(
        f"SELECT srs_id FROM main.{table} WHERE lower(organization) = lower(?) AND organization_coordsys_id = ? "
        "AND (upper(organization) = 'EPSG' OR definition = ?)",
        wanted,
    ).fetchone()
    if same is not None:
        return int(same[0])
    taken = connection.execute(f"SELECT 1 FROM main.{table} WHERE srs_id = ?", (number,)).fetchone()
    new = number
    if taken is not None:
        (last,) = connection.execute(f"SELECT max(srs_id) FROM main.{table}").fetchone()
        new = max(100_000, int(last) + 1)
    _copy(connection, table, "srs_id = ?", (number,), {"srs_id": new})
    return new


def _copy(
    connection: sqlite3.Connection, table: str, where: str, values: Sequence[object], changed: dict[str, object]
) -> None:
    """Copy rows of a register from ``fresh``: the columns that both have, some with another value."""
    have = _columns(connection, "main", table)
    keys = {
        row[1]
        for row in connection.execute(f"PRAGMA main.table_info({table})")
        if row[5] and row[2].upper() == "INTEGER"
    }
    # numbers that SQLite gives out, such as the id of a style
    own = {key for key in keys if key not in changed and key != "srs_id"}
    columns = [c for c in _columns(connection, "fresh", table) if c in have and c not in own]
    expressions = [_quoted(c) for c in columns]
    if "identifier" in columns:  # it must be unique; it may be missing
        taken = f"SELECT 1 FROM main.{table} AS other WHERE other.identifier = here.identifier"
        expressions[columns.index("identifier")] = f"CASE WHEN EXISTS ({taken}) THEN NULL ELSE identifier END"
    numbers = [changed[c] for c in columns if c in changed]
    expressions = ["?" if c in changed else e for c, e in zip(columns, expressions, strict=True)]
    connection.execute(
        f"INSERT INTO main.{table} ({', '.join(map(_quoted, columns))}) "
        f"SELECT {', '.join(expressions)} FROM fresh.{table} AS here WHERE {where}",
        (*numbers, *values),
    )


def _layers(connection: sqlite3.Connection, schema: str) -> list[tuple[str, int]]:
    return connection.execute(f"SELECT table_name, srs_id FROM {schema}.gpkg_geometry_columns").fetchall()


def _geometry_column(connection: sqlite3.Connection, layer: str, schema: str = "main") -> tuple[str]:
    found: tuple[str] = connection.execute(
        f"SELECT column_name FROM {schema}.gpkg_geometry_columns WHERE table_name = ?", (layer,)
    ).fetchone()
    return found


def _tables(connection: sqlite3.Connection, schema: str) -> dict[str, str]:
    """Tables and how each is made."""
    return dict(
        connection.execute(f"SELECT name, sql FROM {schema}.sqlite_master WHERE type = 'table' AND sql NOT NULL")
    )


def _columns(connection: sqlite3.Connection, schema: str, table: str) -> list[str]:
    return [row[1] for row in connection.execute(f"PRAGMA {schema}.table_info({_quoted(table)})")]


def _folded(name: str) -> str:
    """Spell a name as SQLite compares it: capitals of ASCII do not count."""
    return "".join(c.lower() if c.isascii() else c for c in name)


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


@contextlib.contextmanager
def _opened(path: Path, wait: float) -> Iterator[sqlite3.Connection]:
    """Open a file of SQLite; the lock of another program, if it does not end within ``wait`` seconds, is one line."""
    # a file that was removed is not made anew
    connection = sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", timeout=wait, isolation_level=None, uri=True)
    try:
        yield connection
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
        raise NssaError(f"{path}: another program is writing to it; save or close it there and run again") from error
    finally:
        connection.close()


def _check_not_locked(connection: sqlite3.Connection) -> None:
    """Find out before the work whether another program holds the right to write."""
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("ROLLBACK")


@contextlib.contextmanager
def _transaction(path: Path, fresh: Path) -> Iterator[sqlite3.Connection]:
    """Open a file with another one attached as ``fresh``; all that is done inside is committed or nothing of it."""
    with _opened(path, _WAIT) as connection:
        for number, name in enumerate(("ST_MinX", "ST_MaxX", "ST_MinY", "ST_MaxY")):
            connection.create_function(name, 1, _edge(number), deterministic=True)
        connection.create_function("ST_IsEmpty", 1, _is_empty, deterministic=True)
        connection.execute("ATTACH DATABASE ? AS fresh", (str(fresh),))
        connection.execute("BEGIN IMMEDIATE")
        try:
            yield connection
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _number_srs(connection: sqlite3.Connection, srs_id: int) -> None:
    """Define the function ``with_srs``: a geometry with another number of its CRS."""

    def with_srs(blob: bytes | None) -> bytes | None:
        if blob is None:
            return None
        return blob[:4] + struct.pack("<i" if blob[3] & 1 else ">i", srs_id) + blob[8:]

    connection.create_function("with_srs", 1, with_srs, deterministic=True)


# The triggers of the spatial index call these functions, which the program that writes must provide (GeoPackage 1.3,
# annex F.3); a geometry begins with "GP", version, flags, the number of its CRS, and mostly its envelope.
def _is_empty(blob: bytes | None) -> int | None:
    return None if blob is None else blob[3] >> 4 & 1


def _edge(number: int) -> Callable[[bytes | None], float | None]:
    def edge(blob: bytes | None) -> float | None:
        if blob is None:
            return None
        if blob[3] >> 1 & 7:
            found: float = struct.unpack_from("<d" if blob[3] & 1 else ">d", blob, 8 + 8 * number)[0]
            return found
        x0, y0, x1, y1 = shapely.bounds(shapely.from_wkb(blob[8:]))
        return float((x0, x1, y0, y1)[number])

    return edge
