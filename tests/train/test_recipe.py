"""Recipe files: defaults, and one line for what is wrong."""

import re
from pathlib import Path

import pytest

import nssa_gis.train
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.train.recipe import Recipe, Source, load_recipe, recipe_of_folders

RECIPES = Path(nssa_gis.train.__file__).parent / "recipes"
GOOD = """
name = "toy"
gsd = 0.2
gsd_range = [0.1, 1]
value_range = [0, 2047]
[classes]
car = ["car", "van"]
[[source]]
path = "."
[[source]]
path = "."
weight = 2
gsd = "native"
val_scenes = ["a"]
only = { reviewed = true }
"""


def write(folder, text):
    path = folder / "recipe.toml"
    path.write_text(text)
    return path


def test_values_and_defaults(tmp_path):
    recipe = load_recipe(write(tmp_path, GOOD), [])
    assert recipe == Recipe(
        name="toy",
        gsd=0.2,
        gsd_range=(0.1, 1.0),
        value_range=((0.0, 2047.0),),
        classes={"car": ("car", "van")},
        sources=(
            Source(path=tmp_path),
            Source(path=tmp_path, weight=2.0, gsd="native", val_scenes=("a",), only={"reviewed": True}),
        ),
    )
    assert (recipe.licence, recipe.clutter) == ("unspecified", False)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ('name = "toy"', "", "name: is missing"),
        ("gsd = 0.2", "gsd = 0", "gsd: should be greater than 0, not 0"),
        ("gsd = 0.2", "gsd = nan", "gsd: should be a finite number, not nan"),
        ("gsd = 0.2", "gsd = true", "gsd: should be a valid number, not True"),
        ("[0.1, 1]", "[0.1]", "gsd_range: should be two numbers over 0, the lower one first"),
        ("[0.1, 1]", "[1, 0.1]", "gsd_range: should be two numbers over 0, the lower one first"),
        ('["car", "van"]', '"car"', "classes.car: should be a list, not 'car'"),
        ('["car", "van"]', '["car", 3]', "classes.car 2: should be a valid string, not 3"),
        ('car = ["car", "van"]', "", "classes: "),
        ('car = ["car", "van"]', '"" = ["car"]', "classes"),
        ("[[source]]", "[[sauce]]", "source: is missing"),
        ('path = "."\nweight', "weight", "source 2.path: is missing"),
        ("weight = 2", "weight = -1", "source 2.weight: should be greater than or equal to 0, not -1"),
        ("weight = 2", "wait = 2", "source 2.wait: is not known; check the spelling"),
        ('"native"', "0", 'source 2.gsd: should be a number over 0 or "native", not 0'),
        ('"native"', '"fine"', "source 2.gsd: should be a number over 0 or \"native\", not 'fine'"),
        ('["a"]', '"a"', "source 2.val_scenes: should be a list, not 'a'"),
        ("[0, 2047]", "[5, 5]", "value_range: should be pairs of a lower and a higher number"),
        (
            "[0, 2047]",
            "[[0, 1], [0, 2]]",
            "value_range: should be one pair, or one for each of the 3 bands",
        ),
        ("weight = 2", "upright = 1", "source 2.upright: should be a valid boolean, not 1"),
        ("weight = 2", "optional = 1", "source 2.optional: should be a valid boolean, not 1"),
        ("only = { reviewed = true }", "only = true", "source 2.only: should be a valid dictionary, not True"),
    ],
)
def test_wrong_values_are_named_in_one_line(tmp_path, old, new, words):
    assert old in GOOD
    path = write(tmp_path, GOOD.replace(old, new))
    with pytest.raises(NssaError, match=rf"^{re.escape(f'{path}: {words}')}") as told:
        load_recipe(path, [])
    assert "\n" not in str(told.value)


def test_files_that_are_no_recipes(tmp_path):
    with pytest.raises(NssaError, match="cannot read the recipe"):
        load_recipe(tmp_path / "none.toml", [])
    with pytest.raises(NssaError, match="cannot read the recipe"):
        load_recipe(write(tmp_path, "name = "), [])


@pytest.mark.parametrize("path", sorted(RECIPES.glob("*.toml")), ids=lambda path: path.stem)
def test_shipped_recipes_are_valid(path, tmp_path):
    """Their sources are elsewhere: the first of them is what is told as missing."""
    if path.stem.endswith("_network"):
        return
    with pytest.raises(NssaError, match="is under none of"):
        load_recipe(path, [tmp_path])


def test_classes_of_the_command_line(tmp_path):
    with pytest.raises(UsageError, match="not a class"):
        recipe_of_folders([tmp_path], ["car,"], 0.25, [], "toy")
    with pytest.raises(UsageError, match="--classes"):
        recipe_of_folders([tmp_path], [], 0.25, [], "toy")
    with pytest.raises(UsageError, match="gsd: should be a number over 0"):
        recipe_of_folders([tmp_path], ["car"], -0.25, [], "toy")
    with pytest.raises(UsageError, match="name: should be text in UTF-8"):
        recipe_of_folders([tmp_path], ["car"], 0.25, [], "\udcff")
