import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image

import nssa_gis.train
from nssa_gis.boxes.columns import SceneDetections
from nssa_gis.errors import NssaError, UsageError
from nssa_gis.evaluate.coco import ignored, iou_matrix
from nssa_gis.labels.coco import read_coco
from nssa_gis.labels.table import Entry, Table, completed, no_boxes
from nssa_gis.model.config import load_config, named_config
from nssa_gis.raster.radiometry import scaling_for
from nssa_gis.raster.scene import open_scene
from nssa_gis.testing.labels import write_visdrone
from nssa_gis.train.composite import CompositeCrops, Labels, _turn_boxes
from nssa_gis.train.datasets import check_data, in_memory, load_split, longest_side
from nssa_gis.train.description import describe
from nssa_gis.train.recipe import load_recipe, recipe_of_folders

SHARED = Path(__file__).parents[3] / "shared" / "data"


def edit(folder, change):
    path = folder / "instances.json"
    table = json.loads(path.read_text())
    change(table)
    path.write_text(json.dumps(table))


def recipe_for(folder, **kw):
    return recipe_of_folders([folder], ["vehicle=car+truck"], kw.pop("gsd", 0.25), kw.pop("val", ["b"]), "toy")


def test_split_by_scene(coco_folder):
    recipe = recipe_for(coco_folder)
    train, val = load_split(recipe, "train")[0], load_split(recipe, "val")[0]
    assert {i.scene for i in train} == {"a"}
    assert {i.scene for i in val} == {"b"}
    assert len(train) == len(val) == 2
    assert all((i.labels == 0).all() and len(i.boxes) == 4 for i in train)


def test_fine_images_are_reduced_and_boxes_with_them(coco_folder):
    edit(coco_folder, lambda t: [i.update(gsd_m=0.05) for i in t["images"]])
    full = json.loads((coco_folder / "instances.json").read_text())["annotations"][0]["bbox"]
    image = load_split(recipe_for(coco_folder), "train")[0][0]
    assert image.pixels.shape[1] == pytest.approx(96 * 0.05 / 0.125, abs=1)
    assert image.gsd == pytest.approx(0.125, rel=0.03)
    assert image.boxes[0, 0] * image.gsd == pytest.approx(full[0] * 0.05, rel=1e-4)


def test_crowd_unlabelled_and_foreign_categories(coco_folder):
    def change(table):
        table["annotations"][0]["iscrowd"] = 1
        table["annotations"][1]["category_id"] = 7
        table["images"][0]["not_exhaustive"] = ["truck"]

    edit(coco_folder, change)
    image = load_split(recipe_for(coco_folder), "train")[0][0]
    assert len(image.boxes) == 2
    assert len(image.ignore) == 1
    assert image.not_exhaustive.tolist() == [True]
    crop, labels = CompositeCrops([[image]], [1.0], 64, 0.25)[0]
    assert crop.shape == (3, 64, 64)
    assert (labels.ignore_class == 0).any(), "the piece is an ignore region of the class that is not labelled"


def test_crops_are_repeatable_and_boxes_sit_on_their_objects(coco_folder):
    recipe = recipe_for(coco_folder)
    images = load_split(recipe, "train")
    crops = CompositeCrops(images, [1.0], 128, 0.25, seed=5)
    again = CompositeCrops(images, [1.0], 128, 0.25, seed=5)
    contrast, seen = [], 0
    for i in range(24):
        pixels, labels = crops[i]
        np.testing.assert_array_equal(pixels, again[i][0])
        np.testing.assert_array_equal(labels.boxes, again[i][1].boxes)
        seen += len(labels.boxes)
        assert (labels.boxes >= 0).all()
        assert (labels.boxes <= 128).all()
        grey = pixels.mean(0)
        mask = np.zeros((128, 128), bool)
        for x0, y0, x1, y1 in labels.boxes.round().astype(int).tolist():
            mask[y0:y1, x0:x1] = True
        valid = pixels.max(0) > 0
        if mask.any() and (valid & ~mask).any():
            contrast.append(grey[mask].mean() - grey[valid & ~mask].mean())
    assert seen > 24
    assert np.mean(contrast) > 40


@pytest.mark.parametrize("turn", range(4))
@pytest.mark.parametrize("mirror", [False, True])
def test_boxes_turn_with_the_pixels(turn, mirror):
    pixels = np.zeros((20, 30), np.uint8)
    pixels[4:9, 11:18] = 1
    turned = np.rot90(pixels, turn)
    turned = turned[:, ::-1] if mirror else turned
    got = _turn_boxes(np.array([[11, 4, 18, 9]], np.float32), 30, 20, turn, mirror, turned.shape[1])[0]
    ys, xs = np.nonzero(turned)
    assert got.tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


def test_errors_name_the_file(tmp_path, coco_folder):
    with pytest.raises(NssaError, match=r"instances\.json"):
        load_split(recipe_for(tmp_path), "train")
    edit(coco_folder, lambda t: [i.pop("gsd_m") for i in t["images"]])
    recipe = load_recipe_text(tmp_path, '[[source]]\npath = "toy"\n')
    with pytest.raises(NssaError, match="gsd"):
        load_split(recipe, "train")
    with pytest.raises(NssaError, match="nowhere"):
        load_recipe_text(tmp_path, '[[source]]\npath = "nowhere"\n')
    assert load_recipe_text(tmp_path, '[[source]]\npath = "nowhere"\noptional = true\n[[source]]\npath="toy"').sources
    with pytest.raises(UsageError, match="classes"):
        recipe_of_folders([coco_folder], [], 0.25, [], "toy")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda t: t.pop("categories"), "categories"),
        (lambda t: t.pop("annotations"), "annotations"),
        (lambda t: t.update(images={}), "images"),
        (lambda t: t["images"].append("x"), r"images\[4\]"),
        (lambda t: t["annotations"][2].update(bbox=[1, 2, 3]), r"annotations\[2\].*bbox"),
        (lambda t: t["images"][1].update(gsd_m="fine"), r"images\[1\].*gsd_m"),
    ],
)
def test_unusable_tables_are_told(coco_folder, change, told):
    edit(coco_folder, change)
    with pytest.raises(NssaError, match=told):
        load_split(recipe_for(coco_folder), "train")


def test_16_bit_images_are_scaled_as_a_detection_scales_them(coco_folder):
    path = coco_folder / "images" / "0.tif"
    values = np.random.default_rng(0).integers(200, 3000, (96, 96)).astype(np.uint16)
    Image.fromarray(values).save(path)
    edit(coco_folder, lambda t: t["images"][0].update(file_name="0.tif"))
    image = load_split(recipe_for(coco_folder), "train")[0][0]
    with open_scene(path) as scene:
        expected, _ = scaling_for(scene, (1, 1, 1)).convert(values[None])
    np.testing.assert_array_equal(image.pixels, expected.repeat(3, 0))
    assert image.pixels.max() == 255 and image.pixels.min() == 0


def test_data_without_anything_to_learn_is_refused(coco_folder):
    def check(classes, scenes):
        recipe = recipe_of_folders([coco_folder], classes, 0.25, scenes, "toy")
        check_data(recipe, load_split(recipe, "train"))

    check(["car"], ["a"])
    with pytest.raises(NssaError, match=r"nosuch; known scenes: a, b"):
        check(["car"], ["a", "nosuch"])
    with pytest.raises(NssaError, match="no training images"):
        check(["car"], ["a", "b"])
    with pytest.raises(NssaError, match=r"class ship; categories of the sources: car, tree"):
        check(["car,ship"], ["b"])


def test_classes_are_split_on_commas(coco_folder):
    recipe = recipe_of_folders([coco_folder], ["car,ship", "green=tree+bush"], 0.25, [], "toy")
    assert recipe.classes == {"car": ("car",), "ship": ("ship",), "green": ("tree", "bush")}
    with pytest.raises(UsageError, match="not a class"):
        recipe_of_folders([coco_folder], ["car,"], 0.25, [], "toy")


@pytest.mark.filterwarnings("ignore::rasterio.errors.NotGeoreferencedWarning")
def test_the_value_range_of_a_recipe_scales_the_images_and_goes_into_the_model(coco_folder):
    """Copies of the images with 12 bits have the same pixels, in memory or not."""
    deep = coco_folder.parent / "deep"
    shutil.copytree(coco_folder, deep)
    for file in (deep / "images").glob("*.png"):
        with rasterio.open(file) as opened:
            profile, pixels = opened.profile, opened.read().astype(np.uint16)
        with rasterio.open(file, "w", **{**profile, "dtype": "uint16"}) as opened:
            opened.write(pixels * 16)
    recipe = load_recipe_text(coco_folder.parent, '[[source]]\npath = "toy"\n[[source]]\npath = "deep"\n')
    unscaled, recipe = recipe, recipe.model_copy(update={"value_range": ((0.0, 4080.0),)})
    eight, twelve = load_split(recipe, "train")
    for image, kept, expected in zip(twelve, in_memory([twelve])[0], eight, strict=True):
        assert image.path != expected.path
        np.testing.assert_array_equal(image.pixels, expected.pixels)
        np.testing.assert_array_equal(kept.loaded, expected.pixels)
    assert describe(recipe, named_config("nssa-n", 1), [eight]).value_range == ((0.0, 4080.0),)
    by_statistics = load_split(unscaled, "train")[1][0]
    assert by_statistics.pixels.max() == 255 > eight[0].pixels.max()


def test_longest_side_is_at_the_working_resolution(coco_folder):
    recipe = recipe_for(coco_folder, gsd=0.125)
    images = load_split(recipe, "train")
    longest = max((i.boxes[:, 2:] - i.boxes[:, :2]).max() for i in images[0])
    assert longest_side(images, 0.125) == pytest.approx(2 * longest, rel=0.02)
    assert longest_side([[]], 0.125) is None


def load_recipe_text(folder, sources):
    path = folder / "recipe.toml"
    path.write_text('name="x"\ngsd=0.25\ngsd_range=[0.1,0.5]\n[classes]\nvehicle=["car"]\n' + sources)
    return load_recipe(path, [])


@pytest.mark.skipif(not SHARED.is_dir(), reason="the labelled imagery (../shared/data) is not here")
def test_default_recipe_splits_the_real_data_by_scene():
    path = Path(nssa_gis.train.__file__).parent / "recipes" / "vehicles.toml"
    recipe = load_recipe(path, [SHARED])
    small = [s for s in recipe.sources if s.name in ("kit_ais", "minsk_drone")]
    recipe = recipe.model_copy(update={"sources": tuple(small)})
    train, val = load_split(recipe, "train"), load_split(recipe, "val")
    assert [len(s) for s in train] == [25, 0]
    assert [len(s) for s in val] == [20, 41]
    assert {i.scene for s in train for i in s}.isdisjoint({i.scene for s in val for i in s})


def test_the_labels_beside_the_recipes_are_whole():
    """Every box lies on a named image, and none on top of another."""
    recipes = Path(nssa_gis.train.__file__).parent / "recipes"
    files = sorted(recipes.glob("*_reviewed.json"))
    assert len(files) == 9
    for file in files:
        table = read_coco(recipes, file.name)
        assert set(table.categories) <= {"vehicle", "airplane", "ship", "storage-tank"}
        assert len({entry.name for entry in table.entries}) == len(table.entries)
        for entry in table.entries:
            assert (entry.boxes[:, 2:] > entry.boxes[:, :2]).all() and (entry.boxes > -4).all()
            assert iou_matrix(entry.boxes, entry.boxes)[~np.eye(len(entry.boxes), dtype=bool)].max(initial=0) < 0.5


@pytest.mark.skipif(not SHARED.is_dir(), reason="the labelled imagery (../shared/data) is not here")
@pytest.mark.parametrize("name", ["vehicles", "aerial-4"])
@pytest.mark.slow
def test_the_labels_beside_the_recipes_are_of_images_that_exist(name):
    recipe = load_recipe(Path(nssa_gis.train.__file__).parent / "recipes" / f"{name}.toml", [SHARED])
    for source in recipe.sources:
        if source.additions:
            own = {entry.name for entry in read_coco(source.path).entries}
            assert {entry.name for entry in read_coco(source.path, source.additions).entries} <= own


@pytest.mark.skipif(not SHARED.is_dir(), reason="the labelled imagery (../shared/data) is not here")
@pytest.mark.slow
def test_reviewed_images_give_negatives_of_what_was_labelled():
    recipe = load_recipe(Path(nssa_gis.train.__file__).parent / "recipes" / "aerial-4.toml", [SHARED])
    names = list(recipe.classes)
    of = {
        s.only["scene"]: i
        for s, i in zip(recipe.sources, load_split(recipe, "train"), strict=True)
        if "scene" in s.only
    }
    for scene, name, least in (
        ("airplane", "airplane", 78),
        ("storagetanks", "storage-tank", 80),
        ("harbor", "ship", 20),
    ):
        assert len(of[scene]) == least
        assert not any(image.not_exhaustive[names.index(name)] for image in of[scene])
        assert sum((image.labels == names.index(name)).sum() for image in of[scene]) >= least


def test_the_network_beside_the_recipe():
    path = Path(nssa_gis.train.__file__).parent / "recipes" / "aerial-4_network.toml"
    assert load_config(str(path), 4).head_strides == (4, 8, 16)


def test_a_held_out_scene_is_in_no_training_set_of_its_folder(coco_folder):
    recipe = load_recipe_text(
        coco_folder.parent,
        """
[[source]]
path = "toy"
val_scenes = ["a"]
[[source]]
path = "toy"
annotations = "instances.json"
[[source]]
path = "toy"
annotations = "suggested.json"
optional = true
""",
    )
    assert len(recipe.sources) == 2  # suggestions that were not made are left out
    assert [[i.scene for i in s] for s in load_split(recipe, "train")] == [["b", "b"], ["b", "b"]]
    assert [[i.scene for i in s] for s in load_split(recipe, "val")] == [["a", "a"], []]


def test_the_last_crops_are_not_divided(coco_folder):
    images = load_split(recipe_for(coco_folder, val=[]), "train")
    crops = CompositeCrops(images, [1.0], 64, 0.25, scale=(1.0, 1.0), split=1.0, whole_from=5)
    pieces = []
    original = crops._draw
    crops._draw = lambda rng: pieces.append(1) or original(rng)
    for number, expected in ((4, False), (5, True), (9, True)):
        pieces.clear()
        crops[number]
        assert (len(pieces) == 1) == expected, number


def test_a_whole_source_can_be_held_out(coco_folder):
    """Official splits: two files of labels in one folder, an image in both is held out."""
    table = json.loads((coco_folder / "instances.json").read_text())
    for image in table["images"]:
        del image["scene"]
    for name, images in (("train", table["images"][:3]), ("val", table["images"][2:])):
        (coco_folder / f"{name}.json").write_text(json.dumps(table | {"images": images}))
    recipe = load_recipe_text(
        coco_folder.parent,
        """
[[source]]
path = "toy"
annotations = "train.json"
[[source]]
path = "toy"
annotations = "val.json"
split = "val"
""",
    )
    assert [s.weight for s in recipe.sources] == [1, 0]
    train, val = load_split(recipe, "train"), load_split(recipe, "val")
    assert [[i.name for i in s] for s in train] == [["0.png", "1.png"], []]
    assert [[i.name for i in s] for s in val] == [[], ["2.png", "3.png"]]
    check_data(recipe, train)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ('split = "test"', r"source 1\.split: should be \"val\", or left out, not 'test'"),
        ('split = "val"\nweight = 2', "source 1: is held out whole"),
        ('split = "val"\nval_scenes = ["a"]', "source 1: is held out whole"),
    ],
)
def test_a_source_held_out_whole_has_no_weight(coco_folder, keys, message):
    with pytest.raises(NssaError, match=message):
        load_recipe_text(coco_folder.parent, f'[[source]]\npath = "toy"\n{keys}\n')
    assert load_recipe_text(coco_folder.parent, '[[source]]\npath = "toy"\nsplit = "val"\nweight = 0\n').sources


def test_scenes_of_plain_coco_are_held_out_by_the_stem(coco_folder):
    edit(coco_folder, lambda t: [i.pop("scene") for i in t["images"]])
    recipe = recipe_for(coco_folder, val=["1"])
    assert [i.scene for i in load_split(recipe, "train")[0]] == ["0", "2", "3"]
    assert [i.scene for i in load_split(recipe, "val")[0]] == ["1"]


def test_upright_images_are_only_mirrored_from_left_to_right(coco_folder):
    recipe = load_recipe_text(coco_folder.parent, '[[source]]\npath = "toy"\nupright = true\n')
    image = load_split(recipe, "train")[0][0]
    assert image.upright
    ramp = np.broadcast_to(np.arange(image.height, dtype=np.uint8)[:, None] * 2, (*image.pixels.shape,))
    crops = CompositeCrops(
        [[replace(image, loaded=np.ascontiguousarray(ramp))]], [1.0], 64, 0.25, scale=(1.0, 1.0), split=0
    )
    for number in range(12):
        rng = np.random.default_rng((0, number))
        canvas, labels = np.zeros((64, 64, 3), np.uint8), Labels.empty()
        crops._fill(rng, canvas, labels, 0, 0, 64, 64, 0)
        columns = canvas[..., 1].astype(int)
        assert (columns == columns[:, :1]).all(), "rows stay rows"


def test_a_crowd_is_ignored_for_its_own_class_only(coco_folder):
    def change(table):
        table["annotations"][0]["iscrowd"] = 1  # a car of image 0
        table["annotations"][1].update(iscrowd=1, category_id=7)  # a tree there

    edit(coco_folder, change)
    recipe = recipe_of_folders([coco_folder], ["tree", "vehicle=car"], 0.25, [], "toy")
    image = load_split(recipe, "train")[0][0]
    assert image.ignore_classes.tolist() == [1, 0]
    crop = CompositeCrops([[image]], [1.0], 96, 0.25, scale=(1.0, 1.0), split=0)[0][1]
    assert {0, 1} <= set(crop.ignore_class.tolist())
    assert image.truth(np.ones(4)).ignore_classes.tolist() == [1, 0]
    only_cars = load_split(recipe_for(coco_folder, val=[]), "train")[0][0]
    assert only_cars.ignore_classes.tolist() == [0], "a crowd of what is no class is ground"


def test_additions_join_the_labels_of_a_source(coco_folder):
    table = json.loads((coco_folder / "instances.json").read_text())
    table["images"][0]["not_exhaustive"] = ["car", "tree"]
    (coco_folder / "instances.json").write_text(json.dumps(table))
    more = {
        "images": [
            {"id": 9, "file_name": "0.png", "reviewed": True, "exhaustive": ["car"], "mistakes": [[50, 60, 10, 10]]},
            {"id": 8, "file_name": "elsewhere.png"},
        ],
        "annotations": [
            {"image_id": 9, "category_id": 1, "bbox": [1, 2, 8, 5]},
            {"image_id": 9, "category_id": 1, "bbox": [70, 70, 9, 9], "iscrowd": 1},
        ],
        "categories": [{"id": 1, "name": "car"}],
    }
    (coco_folder.parent / "more.json").write_text(json.dumps(more))
    source = '[[source]]\npath = "toy"\nadditions = "more.json"\n'
    (images,) = load_split(load_recipe_text(coco_folder.parent, source), "train")
    assert [len(i.boxes) for i in images] == [5, 4, 4, 4]
    first = images[0]
    np.testing.assert_allclose(first.boxes[-1], [1, 2, 9, 7])
    np.testing.assert_allclose(first.ignore, [[70, 70, 79, 79]])
    assert (first.ignore_classes.tolist(), first.not_exhaustive.tolist()) == ([0], [False])
    np.testing.assert_allclose(first.hard_negatives, [[50, 60, 60, 70]])
    only = source + "only = { reviewed = true }\n"
    assert [i.name for i in load_split(load_recipe_text(coco_folder.parent, only), "train")[0]] == ["0.png"]
    other = {**more, "images": more["images"][1:], "annotations": []}
    (coco_folder.parent / "other.json").write_text(json.dumps(other))
    with pytest.raises(NssaError, match=r"other\.json: names no image of"):
        load_split(load_recipe_text(coco_folder.parent, source.replace("more", "other")), "train")
    with pytest.raises(NssaError, match=r"cannot read none\.json"):
        load_split(load_recipe_text(coco_folder.parent, source.replace("more", "none")), "train")


def test_a_class_that_is_not_labelled_exhaustively_counts_neither_way_in_a_validation(coco_folder):
    table = json.loads((coco_folder / "instances.json").read_text())
    table["images"][0]["not_exhaustive"] = ["truck"]
    table["categories"].append({"id": 8, "name": "truck"})
    table["annotations"].append({**table["annotations"][0], "id": 98, "bbox": [0, 0, 5, 5], "iscrowd": 1})
    image = table["images"][0]["id"]
    table["annotations"].append({"id": 99, "image_id": image, "category_id": 8, "bbox": [60, 60, 20, 20]})
    (coco_folder / "instances.json").write_text(json.dumps(table))
    recipe = recipe_of_folders([coco_folder], ["car", "truck"], 0.25, [], "toy")
    image = load_split(recipe, "train")[0][0]
    assert image.labels.tolist().count(1) == 1, "the labelled ones are still trained on"
    truth = image.truth(np.full(4, 2, np.float32))
    assert 1 not in truth.labels and len(truth.labels) == len(image.labels) - 1
    found = SceneDetections.of(np.array([[100.0, 90, 150, 150]] * 2), [0.9, 0.9], np.array([0, 1]))
    assert ignored(found, truth).tolist() == [False, True]
    np.testing.assert_allclose(truth.ignore, [[0, 0, 10, 10], [0, 0, 192, 192]])
    assert truth.ignore_classes.tolist() == [0, 1]


def test_additions_complete_only_the_categories_that_they_name():
    own = Entry(Path("a.png"), "a.png", no_boxes(), np.empty(0, np.int64), not_exhaustive=("car", "tree"))
    everywhere = np.array([[0.0, 0, 5, 5]])
    facts = {"exhaustive": ["Car"]}
    more = Entry(
        *(Path("a.png"), "a.png", no_boxes(), np.empty(0, np.int64), everywhere),
        facts=facts,
        not_exhaustive=("ship",),
        gsd=0.7,
    )
    (joined,) = completed(Table(("tree",), (own,)), Table((), (more,))).entries
    assert joined.not_exhaustive == ("tree", "ship")
    assert joined.gsd == 0.7
    (stated,) = completed(Table(("tree",), (replace(own, gsd=0.3),)), Table((), (more,))).entries
    assert stated.gsd == 0.3
    assert joined.ignore_categories.tolist() == [-1]


def test_the_width_of_cut_outs_is_a_number_of_metres(coco_folder):
    for text, value in (("true", True), ("3.3", 3.3)):
        source = f'[[source]]\npath = "toy"\ncut_out = {text}\n'
        found = load_recipe_text(coco_folder.parent, source).sources[0].cut_out
        assert found == value and isinstance(found, type(value))
    with pytest.raises(NssaError, match=r"source 1\.cut_out: should be true, false or a width in metres, not -1"):
        load_recipe_text(coco_folder.parent, '[[source]]\npath = "toy"\ncut_out = -1\n')


@pytest.fixture
def visdrone(tmp_path):
    return write_visdrone(tmp_path)


VISDRONE_RECIPE = """
name = "v"
gsd = 0.1
gsd_range = [0.05, 0.2]
[classes]
car = ["car"]
motor = ["motor"]
[[source]]
path = "."
gsd = "native"
"""


def test_visdrone_in_training(visdrone):
    (visdrone / "r.toml").write_text(VISDRONE_RECIPE + 'val_scenes = ["0000002"]\n')
    recipe = load_recipe(visdrone / "r.toml", [])
    (image,) = load_split(recipe, "train")[0]
    assert image.labels.tolist() == [0, 1]
    assert image.gsd == 0.1
    assert (image.width, image.height) == (100, 80)
    assert image.ignore.tolist() == [[0, 0, 40, 10], [60, 60, 70, 70]], "regions and others are ignored"
    assert image.truth(np.ones(4)).ignore.tolist() == [[0, 0, 40, 10]], "a detection on others is false"
    assert image.ignore_classes.tolist() == [-1, -1]
    assert [i.name for i in load_split(recipe, "val")[0]] == ["0000002_00005_d_0000014.jpg"]


def test_images_beyond_the_memory_limit_are_decoded_when_drawn(visdrone, monkeypatch):
    (visdrone / "r.toml").write_text(VISDRONE_RECIPE)
    recipe = load_recipe(visdrone / "r.toml", [])
    images = load_split(recipe, "train")
    monkeypatch.setattr("nssa_gis.train.datasets._IN_MEMORY", 100 * 80 * 3)
    (some,) = in_memory(images)
    assert [i.loaded is None for i in some] == [False, True]
    for a, b in zip(images[0], some, strict=True):
        np.testing.assert_array_equal(a.pixels, b.pixels)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("gsd = 0.1", 'gsd = "fine"'),
        ("weight = 1", 'weight = "much"'),
        ('path = "."', "path = 3"),
        ('path = "."', 'path = "."\ncolour = "red"'),
    ],
)
def test_a_recipe_with_a_wrong_value_names_the_key(visdrone, change, message):
    recipe = (
        'name = "v"\ngsd = 0.1\ngsd_range = [0.05, 0.2]\n[classes]\ncar = ["car"]\n[[source]]\npath = "."\nweight = 1\n'
    )
    (visdrone / "r.toml").write_text(recipe.replace(change, message))
    key = message.splitlines()[-1].split(" = ")[0]
    with pytest.raises(NssaError, match=rf"r\.toml: (source 1\.)?{key}: [^\n]+$"):
        load_recipe(visdrone / "r.toml", [])
