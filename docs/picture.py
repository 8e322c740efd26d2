"""Make docs/sample.png, the README's picture: the sample scene with the detections of the default model.

``make picture`` runs the demo first and then this.
"""

from pathlib import Path

from PIL import Image

from nssa_gis.pictures.preview import draw_preview

ROOT = Path(__file__).parents[1]


def main() -> None:
    """Draw the demo's layer; a palette of 200 colours keeps the file small."""
    target = ROOT / "docs" / "sample.png"
    draw_preview(ROOT / "sample_data" / "town.tif", ROOT / "demo_output" / "cars.gpkg", target, max_side=1000)
    with Image.open(target) as picture:
        reduced = picture.convert("RGB").quantize(200)
    reduced.save(target, optimize=True)
    print(target.relative_to(ROOT))


if __name__ == "__main__":
    main()
