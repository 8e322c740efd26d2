"""The area of interest as a file that the engine reads."""

import os

from qgis.core import (
    QgsCoordinateTransform,
    QgsCsException,
    QgsFeature,
    QgsFeatureRequest,
    QgsFields,
    QgsGeometry,
    QgsProcessingException,
    QgsProcessingFeatureSource,
    QgsRectangle,
    QgsVectorFileWriter,
    QgsWkbTypes,
)

from .texts import tr

#: Points added to an edge before it is transformed.
_CORNERS = 20


class Area:
    """Polygons in a CRS.

    Parameters
    ----------
    geometries : list of QgsGeometry
        Polygons.
    crs : QgsCoordinateReferenceSystem
        CRS of the polygons; an invalid one means the coordinates of the raster.
    """

    def __init__(self, geometries, crs):
        self._geometries, self.crs = geometries, crs

    @classmethod
    def read(cls, source):
        """Take the polygons of a feature source, with its selection and filters.

        Raises
        ------
        QgsProcessingException
            It holds no feature.
        """
        flags = getattr(QgsProcessingFeatureSource, "Flag", QgsProcessingFeatureSource)
        request = QgsFeatureRequest()
        request.setSubsetOfAttributes([])
        # invalid geometries are repaired below, so QGIS need not refuse them
        features = source.getFeatures(request, flags.FlagSkipGeometryValidityChecks)
        geometries = [_polygons(feature.geometry()) for feature in features if feature.hasGeometry()]
        geometries = [geometry for geometry in geometries if not geometry.isEmpty()]
        if not geometries:
            raise QgsProcessingException(tr("The area of interest holds no feature (is a selection empty?)."))
        return cls(geometries, source.sourceCrs())

    def clipped(self, shape, crs, context):
        """Return the part inside a polygon of any CRS.

        Raises
        ------
        QgsProcessingException
            There is none, or it cannot be transformed.
        """
        # an edge that is straight in its own CRS is curved in another one
        bent = Area([shape.densifyByCount(_CORNERS)], crs).moved(self.crs, context)
        parts = [_polygons(geometry.intersection(bent._geometries[0])) for geometry in self._geometries]
        parts = [part for part in parts if not part.isEmpty()]
        if not parts:
            raise QgsProcessingException(tr("The extent and the area of interest do not overlap."))
        return Area(parts, self.crs)

    def moved(self, crs, context):
        """Return the area in another CRS.

        Raises
        ------
        QgsProcessingException
            It cannot be transformed.
        """
        change = QgsCoordinateTransform(self.crs, crs, context.transformContext())
        moved = [QgsGeometry(geometry) for geometry in self._geometries]
        try:
            for geometry in moved:
                geometry.transform(change)
        except QgsCsException as error:
            raise QgsProcessingException(tr("The area of interest cannot be transformed: {}").format(error)) from None
        return Area(moved, crs)

    def named(self, crs):
        """Return the same coordinates under the name of another CRS."""
        return Area(self._geometries, crs)

    def box(self):
        """Return the rectangle around it."""
        box = QgsRectangle()
        for geometry in self._geometries:
            box.combineExtentWith(geometry.boundingBox())
        return box

    def file(self, cache, context):
        """Return a file with the area; the same, unchanged file for the same area.

        The format is FlatGeobuf, because a GeoPackage always has a CRS.

        Raises
        ------
        QgsProcessingException
            It cannot be written.
        """
        contents = [self.crs.toWkt().encode(), *(bytes(geometry.asWkb()) for geometry in self._geometries)]
        path = cache.path("area", contents, ".fgb")
        if not os.path.exists(path):
            partial = cache.partial(path)
            self._write(partial, context)
            os.replace(partial, path)
        return path

    def _write(self, path, context):
        options = QgsVectorFileWriter.SaveVectorOptions()
        options.driverName = "FlatGeobuf"
        types = getattr(QgsWkbTypes, "Type", QgsWkbTypes)
        writer = QgsVectorFileWriter.create(
            path, QgsFields(), types.Unknown, self.crs, context.transformContext(), options
        )
        for geometry in self._geometries:
            feature = QgsFeature()
            feature.setGeometry(geometry)
            writer.addFeature(feature)
        errors = getattr(QgsVectorFileWriter, "WriterError", QgsVectorFileWriter)
        code, message = writer.hasError(), writer.errorMessage()
        del writer  # closes the file
        if code != errors.NoError:
            raise QgsProcessingException(tr("The area of interest cannot be written: {}").format(message))


def _polygons(geometry):
    """Return the valid, straight polygons of a geometry as one; empty if it has none."""
    straight = QgsGeometry(geometry)
    straight.convertToStraightSegment()
    kinds = getattr(QgsWkbTypes, "GeometryType", QgsWkbTypes)
    parts = straight.makeValid().asGeometryCollection()
    return QgsGeometry.collectGeometry([part for part in parts if part.type() == kinds.PolygonGeometry])
