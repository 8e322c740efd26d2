import pytest

from nssa_gis.model.config import load_config, named_config


def write(folder, text):
    path = folder / "mine.toml"
    path.write_text(text)
    return str(path)


def test_a_file_says_what_differs(tmp_path):
    path = write(
        tmp_path,
        'base = "nssa-m"\ndepths = [1, 1, 1]\ncross_layer = false\n'
        '[sparse_attention]\npartition = "dilated"\nwindow = 4\n'
        '[wavelet]\nform = "chebyshev"\nlearnable = true\n',
    )
    config = load_config(path, 3)
    assert (config.name, config.classes, config.stem) == ("mine", 3, 32)
    assert config.depths == (1, 1, 1)
    assert config.cross_layer is None
    assert (config.sparse_attention.partition, config.sparse_attention.window) == ("dilated", 4)
    assert config.sparse_attention.strides == (4, 8), "the rest is the base's"
    assert (config.wavelet.form, config.wavelet.learnable, config.wavelet.bands) == ("chebyshev", True, 3)


def test_a_module_can_be_added_to_a_plain_network(tmp_path):
    config = load_config(write(tmp_path, 'base = "nssa-n-plain"\n[cross_layer]\nactivation = "derf"\n'), 1)
    assert config.cross_layer.activation == "derf"
    assert config.wavelet is None


def test_names_still_work():
    assert load_config("nssa-s-plain", 2) == named_config("nssa-s-plain", 2)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("depths = [1, 1]", "three|stages|depths"),
        ("deepness = 3", "deepness"),
        ('base = "nssa-x"', "nssa-x"),
        ("[wavelet]\nform = 3", "form"),
        ("[wavelet]\ncolour = 3", "colour"),
        ("stem = ", "cannot read"),
        ("classes = 5", "settled by the data"),
        ('[cross_layer]\nactivation = "x"', "activation"),
        ("[cross_layer]\nstrides = [4, 16]", "neighbours"),
        ("[cross_layer]\nstrides = [8]", "neighbours"),
        ("[cross_layer]\nheads = 3", "do not divide"),
        ("[sparse_attention]\nhead_dim = 24", "does not divide"),
        ('[sparse_attention]\npartition = "zz"', "partition"),
        ("[wavelet]\nbands = 9", r"wavelet\.bands: should be less than or equal to 8, not 9"),
        ("widths = [48, 96, 1000000]", "widths 3: should be less than"),
        ("widths = [48, 96.5, 160]", "widths 2: should be a valid integer, not 96.5"),
        ("head_strides = [8, 8]", "head_strides: should be some of the strides"),
        ("head_strides = [64]", "head_strides: should be some of the strides"),
        ("wavelet = true", "wavelet"),
        ("stem = 0", "stem: should be greater than or equal to 1, not 0"),
        ("stem = 2024-01-01", "mine.toml"),
    ],
)
def test_wrong_files_are_told(tmp_path, text, words):
    with pytest.raises(ValueError, match=words):
        load_config(write(tmp_path, text), 1)
    with pytest.raises(ValueError, match="cannot read"):
        load_config(str(tmp_path / "none.toml"), 1)
