"""The ladder of the GPU in numba-cuda's simulator: every rung against the reference, and how many numbers it
reads. tests/test_cubins.py holds what the compiler makes of it.
"""

import json
import threading
from collections import Counter, defaultdict

import numpy as np
import pytest
from test_bench import bench

from tinyconv.benchmarks import ladder, timing, workloads
from tinyconv.benchmarks.backends import BACKENDS, NotMeasured
from tinyconv.benchmarks.session import Session
from tinyconv.kernels import load
from tinyconv.kernels._cuda import package
from tinyconv.layers import Conv2d

pytestmark = pytest.mark.skipif(
    not (package.INSTALLED and package.SIMULATOR),
    reason="in the simulator: on a GPU run tinyconv bench conv2d --backend cuda",
)

AWKWARD = [
    ("one channel, one image", Conv2d(1, 2, 3, rng=0), (1, 1, 5, 4)),
    ("17 images, odd sizes", Conv2d(2, 3, (2, 3), rng=0), (17, 2, 3, 4)),
    ("stride (2, 2), padding (1, 2)", Conv2d(3, 5, 3, stride=2, padding=(1, 2), rng=0), (3, 3, 6, 7)),
    ("stride 3 over a window of 2", Conv2d(2, 3, 2, stride=3, rng=0), (2, 2, 8, 9)),
    ("2 groups", Conv2d(4, 6, 3, groups=2, rng=0), (2, 4, 5, 4)),
]
TITLES = "textbook thread", "coalesced", "shared memory", "register tiles", "tensor cores"


def rung(title):
    return next(one for one in ladder.rungs("cuda") if one.title == title)


def made(rung, workload, batch, dtype):
    """The entry's check of what a rung makes of a workload."""
    entry = rung.entry(workload, batch, dtype, 1, "cuda")
    one = entry.make()
    one.call(1)
    return one.result(), entry


@pytest.mark.parametrize("title", TITLES)
@pytest.mark.parametrize("shape", AWKWARD, ids=lambda shape: shape[0])
def test_every_rung_is_the_reference(title, shape):
    _, layer, x_shape = shape
    batch = x_shape[0]
    for workload in workloads.of_layer("", "", layer, x_shape):
        if workload.direction == "backward_bias":
            continue
        found, entry = made(rung(title), workload, batch, np.dtype(np.float32))
        expected = workload.expected(batch)
        if entry.check:
            assert entry.check(found, expected).ok, workload.direction
            # and tensor cores see no more than 10 bits: an exact product would be another rung
            assert np.abs(found - expected).max() > 1e-5
        else:
            bound = 1e-6 * batch * max(1, np.abs(expected).max())
            np.testing.assert_allclose(found, expected, rtol=0, atol=bound, err_msg=workload.direction)


@pytest.mark.parametrize("title", TITLES[:4])
def test_rungs_compute_in_float64_too(title):
    _, layer, x_shape = AWKWARD[0]
    for workload in workloads.of_layer("", "", layer, x_shape)[:3]:
        found, _ = made(rung(title), workload, 1, np.dtype(np.float64))
        np.testing.assert_allclose(found, workload.expected(1), rtol=0, atol=1e-14)


def test_tensor_cores_have_no_float64():
    workload = workloads.of_layer("", "", *AWKWARD[0][1:])[0]
    for one in ladder.rungs("cuda"):
        if one.precision == "tf32":
            with pytest.raises(NotMeasured, match="tensor cores multiply float32"):
                one.contender(workload, 1, np.dtype(np.float64), 1)


@pytest.mark.parametrize("title", TITLES[2:])
@pytest.mark.parametrize("direction", ["forward", "backward_weight"])
def test_a_long_sum_is_shared_among_blocks(title, direction, monkeypatch):
    """Its parts are added up, and the bias once."""
    from tinyconv.benchmarks.ladder import cuda_matrix

    parts = []
    monkeypatch.setattr(cuda_matrix, "STEPS", 1)
    monkeypatch.setattr(cuda_matrix, "add_parts", _Counted(cuda_matrix.add_parts, parts))
    layer = Conv2d(3, 1, 2, rng=0)
    layer.params["bias"][...] = 10
    some = workloads.of_layer("", "", layer, (5, 3, 3, 3))
    workload = next(one for one in some if one.direction == direction)
    found, entry = made(rung(title), workload, 5, np.dtype(np.float32))
    expected = workload.expected(5)
    assert parts and parts[0] > 1
    assert entry.check(found, expected).ok if entry.check else np.allclose(found, expected, atol=1e-5)


class _Counted:
    """add_parts, which notes how many parts it adds up."""

    def __init__(self, kernel, parts):
        self.kernel, self.parts = kernel, parts

    def __getitem__(self, shape):
        def launch(parts, out):
            self.parts.append(len(parts))
            self.kernel[shape](parts, out)

        return launch


@pytest.fixture
def reads(monkeypatch):
    """{id of a thread: addresses that it reads from memory on the GPU, in bytes}."""
    found, real = defaultdict(list), package.FakeCUDAArray.__getitem__

    def noted(self, index):
        number = real(self, index)
        if isinstance(index, tuple) and np.ndim(number) == 0:
            array = self._ary
            place = sum(i * stride for i, stride in zip(index, array.strides))
            found[threading.current_thread()].append((array.ctypes.data, place))
        return number

    monkeypatch.setattr(package.FakeCUDAArray, "__getitem__", noted)
    return found


def of_one_warp(module, form, reads):
    """The sectors of 32 bytes of x that a warp reads at each step."""
    layer = Conv2d(1, 1, 2, rng=0)
    workload = workloads.of_layer("", "", layer, (32, 1, 3, 16))[0]
    (arrays,) = form.parts(workload.arrays(32, np.float32), 1)
    x, weight, bias = arrays["x"], arrays["weight"], arrays["bias"]
    y = np.zeros((32, 1, 2, 15) if form is ladder.PLAIN else (1, 2, 15, 32), np.float32)
    data = x if form is ladder.PLAIN else x.data
    start = data._ary.ctypes.data
    reads.clear()
    grid = 1 if form is ladder.PLAIN else (1, 2, 1)
    module.forward_thread[grid, 32](data, weight, bias, True, (1, 1), (0, 0), package.cuda.to_device(y))
    of_threads = [[place for array, place in one if array == start] for one in reads.values()]
    of_threads = of_threads[:32]
    assert len({len(one) for one in of_threads}) == 1
    return Counter(len({place // 32 for place in step}) for step in zip(*of_threads))


def test_a_coalesced_warp_reads_an_eighth_of_the_sectors(reads):
    """32 sectors for 32 numbers of the textbook's, 4 of those that lie side by side: counted, as the files
    say.
    """
    assert of_one_warp(rung("textbook thread").module, ladder.PLAIN, reads).keys() == {32}
    assert of_one_warp(rung("coalesced").module, BACKENDS["cuda"], reads).keys() == {4}


@pytest.mark.parametrize("title", TITLES)
def test_numbers_read_from_memory_for_a_multiply_add(title, reads):
    """2 where every thread reads for itself; 1/BM + 1/BN where a tile of BM x BN is read once for all its
    threads. Maps that fill whole tiles, so that nothing is read in vain.
    """
    module = rung(title).module
    BM, BN, BK, _ = module.directions.tile if hasattr(module, "directions") else (1, 1, 1, 1)
    # a window of one pixel: BK channels are one step, BM maps one row of tiles, and two tiles side by side
    channels, maps, images = max(BK, 2), max(BM, 2), max(2 * BN, 2)
    layer = Conv2d(channels, maps, 1, rng=0)
    workload = workloads.of_layer("", "", layer, (images, channels, 1, 1))[0]
    (arrays,) = rung(title).form.parts(workload.arrays(images, np.float32), 1)
    bias = arrays["bias"]._ary.ctypes.data
    reads.clear()
    module.forward(*(arrays[name] for name in workload.parameters))
    count = sum(array != bias for one in reads.values() for array, _ in one)
    expected = 1 / BM + 1 / BN
    assert count / (workload.multiply_adds * images) == pytest.approx(expected)


@pytest.mark.parametrize("title", ["shared memory", "register tiles"])
def test_numbers_read_from_shared_memory_for_a_multiply_add(title, monkeypatch):
    """2 where a thread has one number of the result, (TM + TN) / (TM TN) where it has a tile."""
    module, count = rung(title).module, []

    class Noted(np.ndarray):
        def __getitem__(self, index):
            count.append(1)
            return super().__getitem__(index)

    lock = threading.Lock()

    def noted(self, shape, dtype, alignment=None):
        with lock:
            return self._allocations.setdefault("noted", np.empty(shape, dtype).view(Noted))

    monkeypatch.setattr(package.kernelapi.FakeCUDAShared, "array", noted)
    BM, BN, BK, _ = module.directions.tile
    workload = workloads.of_layer("", "", Conv2d(BK, BM, 1, rng=0), (BN, BK, 1, 1))[0]
    (arrays,) = rung(title).form.parts(workload.arrays(BN, np.float32), 1)
    count.clear()  # the way in goes through shared memory too
    module.forward(*(arrays[name] for name in workload.parameters))
    expected = 2 if title == "shared memory" else (module.TM + module.TN) / (module.TM * module.TN)
    assert len(count) / (BM * BN * BK) == pytest.approx(expected)


def test_the_same_command_ranks_them(monkeypatch, tmp_path):
    """With --backend cuda, and those of the GPU alone; what is wrong has no rank."""
    some = workloads.of_layer("lenet5", "1->2", Conv2d(1, 2, 2, rng=0), (1, 1, 3, 3))[:1]
    monkeypatch.setattr(workloads, "ladder_shapes", lambda device: some if device == "cuda" else 1 / 0)
    monkeypatch.setattr(timing, "TURNS", 1)
    wrong = lambda *arguments: rung("coalesced").module.forward(*arguments[:2], None, *arguments[3:])
    monkeypatch.setattr(rung("shared memory").module, "forward", wrong)
    path = tmp_path / "result.json"
    status, out = bench("conv2d", "--whole", "--backend", "cuda", "--batch", 2, "--json", path)
    rows = json.loads(path.read_text())["rows"]
    assert status == 1 and "WRONG, not ranked: shared memory" in out
    assert [row["contender"] for row in rows] == [one.title for one in ladder.rungs("cuda")]
    assert sorted(row["rank"] for row in rows if "rank" in row) == [1, 2, 3, 4, 5, 6]
    assert {row["ceiling"] for row in rows} == {"cuda", "cuda tf32"}
    assert "the ladder, GPU: conv2d forward, 1->2, batch 2" in out


def test_a_kernel_of_ones_own_stands_on_the_ladder_of_the_cpu(tmp_path):
    (tmp_path / "mine.py").write_text("def forward(x, weight, bias, stride, padding, groups): pass")
    for backends, own, expected in (
        (["cuda"], True, ["cpu", "cuda"]),
        (["cuda"], False, ["cuda"]),
        (["cpu", "cuda"], False, ["cpu", "cuda"]),
        (["reference"], False, ["cpu"]),
    ):
        kernel = f"{tmp_path / 'mine.py'}:forward" if own else None
        assert Session(["conv2d"], backends=backends, whole=True, kernel=kernel)._climbed() == expected


def test_the_shipped_rungs_are_the_shipped_kernel():
    shipped = [one for one in ladder.rungs("cuda") if one.title.startswith("shipped kernel")]
    assert [one.precision for one in shipped] == ["float32", "tf32"]
    assert all(one.module is load("conv2d", "cuda") for one in shipped)
