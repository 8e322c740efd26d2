"""What the tests in QGIS share."""

from qgis.core import (
    QgsFeature,
    QgsGeometry,
    QgsProcessingContext,
    QgsProcessingFeedback,
    QgsProject,
    QgsRectangle,
    QgsVectorLayer,
)


class Feedback(QgsProcessingFeedback):
    """Remembers what was said; can cancel itself at a percentage."""

    def __init__(self, cancel_at=None):
        super().__init__(False)
        self.said, self.cancel_at = [], cancel_at

    def pushInfo(self, text):
        self.said.append(text)

    def pushWarning(self, text):
        self.said.append(text)

    def setProgressText(self, text):
        self.said.append(text)

    def setProgress(self, percent):
        if self.cancel_at is not None and percent >= self.cancel_at:
            self.cancel()

    def heard(self, part):
        return any(part in text for text in self.said)


def corner(layer, metres=90):
    """A small part of the scene, in the middle, in its CRS."""
    centre = layer.extent().center()
    half = metres / 2
    return QgsRectangle(centre.x() - half, centre.y() - half, centre.x() + half, centre.y() + half)


def text_of(rectangle, crs=None):
    sides = (rectangle.xMinimum(), rectangle.xMaximum(), rectangle.yMinimum(), rectangle.yMaximum())
    return ",".join(map(repr, sides)) + (f" [{crs.authid()}]" if crs else "")


#: Tiles that fit the small parts at which the tests look; the model's own would be mostly margin.
TILES = {"TILE": 256, "OVERLAP": 64}


def run(name, parameters, feedback=None, context=None):
    import processing

    if name == "detect":
        parameters = {**TILES, **parameters}
    context = context or QgsProcessingContext()
    context.setProject(QgsProject.instance())
    return processing.run(f"nssa:{name}", parameters, context=context, feedback=feedback or Feedback())


def count(path):
    layer = QgsVectorLayer(str(path), "x", "ogr")
    assert layer.isValid(), path
    return layer.featureCount()


def area_layer(rectangles, crs="EPSG:4326", change=None):
    """Rectangles as a polygon layer, transformed by ``change``."""
    layer = QgsVectorLayer(f"Polygon?crs={crs}", "areas", "memory")
    for rectangle in rectangles:
        feature, geometry = QgsFeature(), QgsGeometry.fromRect(rectangle)
        if change is not None:
            geometry.transform(change)
        feature.setGeometry(geometry)
        layer.dataProvider().addFeature(feature)
    return layer
