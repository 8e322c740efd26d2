"""What a user reads when a library fails."""

import errno

import pytest

from nssa_gis.errors import NssaError, OutOfMemory, UsageError, explained, memory_error
from nssa_gis.files import write_error
from nssa_gis.raster.scene import open_scene
from nssa_gis.testing import make_scene

CPU = [
    MemoryError(),
    MemoryError("Unable to allocate 7.28 TiB for an array with shape (1000000, 1000000) and data type float64"),
    RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried..."),
    RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate"),
    RuntimeError("could not create a primitive"),
    RuntimeError("std::bad_alloc"),
    RuntimeError("Failed to allocate memory for requested buffer of size 1073741824"),
    RuntimeError("can't start new thread"),
    OSError(errno.ENOMEM, "Cannot allocate memory"),
    OSError("GDAL: VSIMalloc3(): Out of memory allocating 99 bytes"),
    ImportError("libtorch_cpu.so: failed to map segment from shared object"),
    OSError("cannot read /data/ships/chips.tif: Unable to allocate 3 bytes"),
]
GPU = [
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB. GPU 0 has a total capacity of 8 GiB"),
    RuntimeError("CUDA error: out of memory"),
    RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("MPS backend out of memory (MPS allocated: 9.06 GB)"),
    RuntimeError("HIP out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("hipErrorOutOfMemory: out of memory"),
    RuntimeError("[GPU] CL_MEM_OBJECT_ALLOCATION_FAILURE"),
]


@pytest.mark.parametrize("error", CPU, ids=str)
def test_memory_of_the_machine(error):
    told = explained(error)
    assert isinstance(told, OutOfMemory)
    assert str(told).startswith("out of memory (")
    assert "--batch-size" in str(told)
    assert "\n" not in str(told)


@pytest.mark.parametrize("error", GPU, ids=str)
def test_memory_of_the_gpu(error):
    told = str(explained(error))
    assert told.startswith("the GPU is out of memory (")
    assert "--device cpu" in told


def test_memory_behind_another_error():
    try:
        try:
            raise MemoryError
        except MemoryError as inner:
            raise RuntimeError("the stream ended") from inner
    except RuntimeError as outer:
        assert memory_error(outer) is not None


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (UsageError("give a file"), "give a file"),
        (PermissionError(errno.EACCES, "Permission denied", "/x/y"), "/x/y: Permission denied; check the path"),
        (
            ImportError("libfoo.so.1: no such file"),
            "a library cannot be loaded (libfoo.so.1: no such file); nssa-gis doctor",
        ),
        (ZeroDivisionError("a\nb"), "unexpected ZeroDivisionError: a b; run again with --debug"),
    ],
)
def test_other_errors_are_one_line(error, told):
    assert memory_error(error) is None
    assert str(explained(error)).startswith(told)


def test_a_damaged_file_is_not_blamed_for_short_memory(tmp_path, monkeypatch):
    make_scene(tmp_path / "s.tif", 50, 50)
    with open_scene(tmp_path / "s.tif") as scene, pytest.raises(OutOfMemory):

        class Handle:
            def read(self, *arguments, **options):
                raise OSError("Read failed: Out of memory allocating 99 bytes")

        scene.read(Handle(), (1,), (0, 0, 9, 9))
    assert isinstance(write_error(tmp_path / "a.gpkg", RuntimeError("std::bad_alloc")), OutOfMemory)
    assert isinstance(write_error(tmp_path / "a.gpkg", RuntimeError("odd")), NssaError)


def test_a_damaged_tiff_that_claims_to_be_huge_is_no_lack_of_memory():
    assert memory_error(OSError('a.tif: TIFFReadDirectory:Out of memory reading of "BitsPerSample"')) is None
    assert memory_error(OSError("Out of memory allocating 4096 bytes")) is not None
