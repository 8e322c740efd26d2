"""Label formats of the field, one module each, all read into the same :class:`~nssa_gis.train.formats.table.Table`."""
