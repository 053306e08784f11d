"""The tiles that kernels/_cuda/tiles.py has, how their operands lie in shared memory, and which one a product
gets.
"""

from dataclasses import dataclass
from functools import cache

from .launch import ROWS
from .package import SIMULATOR
from .ptx import Fragment

# What the choice of tiles assumes of the GPU: an H100. Constants, since the order of a sum must not depend on
# the GPU that computes it.
MULTIPROCESSORS = 132
BYTES_A_CLOCK = 2000  # of memory
LATENCY = 8  # steps that the beginning and the end of a tile take
FEW, ENOUGH = 128, 384  # threads on a multiprocessor: half of their time they wait, hardly ever
MOST_SPLITS = 256


@dataclass(frozen=True)
class Tile:
    """BM x BN of the product, in steps of BK, by threads of TM x TN each; `blocks` of them share a
    multiprocessor. A warp has warp[0] x warp[1] threads.

    buffers  steps that are in shared memory or on the way there        tensor  whether warps compute on tensor cores, TF32, or threads for themselves, float32
    """  # noqa: E501

    BM: int
    BN: int
    BK: int = 16
    TM: int = 8
    TN: int = 8
    blocks: int = 2
    warp: tuple = (4, 8)
    buffers: int = 2
    tensor: bool = False

    @property
    def threads(self):
        return self.BM // self.TM * (self.BN // self.TN)

    @property
    def speed(self):
        """Share of the arithmetic's speed, roughly: small tiles read more from memory, and small blocks of a
        thread more from shared memory, for as much of it.
        """
        reuse = self.BM * self.BN / (self.BM + self.BN)
        return reuse / (reuse + 6) * min(1, self.TM * self.TN / (self.TM + self.TN) / 4)


# Those of a GPU, and small ones for the simulator, which has a Python thread for each of theirs.
GPU_TILES = (
    Tile(128, 128),
    Tile(96, 128),
    Tile(64, 128, blocks=3),
    Tile(48, 128, blocks=4, warp=(2, 16)),
    Tile(64, 64, TM=4, blocks=4),
    Tile(16, 128, TM=4, TN=4, blocks=6),
)
# on tensor cores the larger a warp's part, here 64 x 64, the fewer numbers are rounded to TF32 for a
# multiplication
GPU_TENSOR_TILES = (
    Tile(128, 128, TM=16, tensor=True),
    Tile(96, 128, tensor=True),
    Tile(64, 128, blocks=3, buffers=3, tensor=True),
)
SIMULATED_TILES = Tile(24, 16, 8, 4, 4, warp=(2, 4)), Tile(32, 16, 8, 8, 4, warp=(4, 4))
SIMULATED_TENSOR_TILES = (Tile(16, 32, 16, 4, 4, buffers=3, tensor=True),)
TILES, TENSOR_TILES = (
    (SIMULATED_TILES, SIMULATED_TENSOR_TILES) if SIMULATOR else (GPU_TILES, GPU_TENSOR_TILES)
)


@dataclass(frozen=True)
class Panel:
    """An operand's piece of a step: `size` rows or columns of the tile times `depth` values of k, in shared
    memory and on the way there.

    It is copied in lines, which lie in memory, of pieces of `width` numbers each. The threads copy some lines
    at once, `together`: each has its own piece of every line, always the same.

    across  whether k is contiguous in memory, and lines are rows       turned  whether it is then stored with k as the slowest axis, [k][row]
    """  # noqa: E501

    size: int
    depth: int
    threads: int
    across: bool
    width: int
    turned: bool = False
    tensor: bool = False

    @property
    def stride(self):
        """Words from one row in shared memory to the next: the pad spreads what a warp reads over
        all banks.
        """
        if self.across and not self.turned:
            return self.depth + (-self.depth + 8) % 32 % 16 if self.tensor else self.depth + 4
        return self.size + 4

    @property
    def words(self):
        return self.stride * (self.size if self.across and not self.turned else self.depth)

    @property
    def lines(self):
        return self.size if self.across else self.depth

    @property
    def pieces(self):
        return (self.depth if self.across else self.size) // self.width

    @property
    def together(self):
        return self.threads // self.pieces

    @property
    def passes(self):
        return -(-self.lines // self.together)

    @property
    def even(self):
        """Whether all threads always have something to copy."""
        return self.threads % self.pieces == 0 and self.lines % self.together == 0

    def fragment(self, count):
        """What one thread multiplies: `count` of the rows or columns, spread over the tile so that a warp
        reads without bank conflicts.
        """
        across = self.across and not self.turned
        return Fragment(
            count,
            across,
            self.stride,
            *((1, 0, self.size // count) if across else (4, 1, self.size // count * 4)),
        )

    def tensor_fragment(self, count):
        """Likewise for tensor cores: pairs of neighbours in the sums, and what a lane holds for them
        (kernels/_cuda/ptx.py).
        """
        return Fragment(count, self.across and not self.turned, self.stride, 2, 1, self.size // count * 2)


@cache
def choice(M, J, K, groups, a_across, b_across, a_width, b_width, split, tensor):
    """(tile, splits) that take the least time, as a simple model sees it: the multiprocessor with the most
    tiles takes that of all of them.
    """
    best = None
    for tile in TENSOR_TILES if tensor else TILES:
        A, B = (
            Panel(tile.BM, tile.BK, tile.threads, a_across, a_width),
            Panel(tile.BN, tile.BK, tile.threads, b_across, b_width),
        )
        if min(A.together, B.together) == 0:  # too few threads for one line
            continue
        tiles, steps = -(-M // tile.BM) * -(-J // tile.BN) * groups, -(-K // tile.BK)
        for splits in range(1, min(MOST_SPLITS, steps, max(1, ROWS // groups)) + 1 if split and steps else 2):
            in_turn = -(-tiles * splits // MULTIPROCESSORS)
            # with more than 8 x 8 sums, a thread counts as several: as much more it has to do while it waits
            threads = max(tile.threads, tile.BM * tile.BN // 64) * min(in_turn, tile.blocks)
            speed = tile.speed * min(
                1, (FEW + threads) / (FEW + ENOUGH)
            )  # few threads often wait for memory all at once
            clocks = in_turn * (-(-steps // splits) + LATENCY) * tile.BM * tile.BN * tile.BK / 128 / speed
            if splits > 1:
                clocks += 3000 + 8 * splits * M * J * groups / BYTES_A_CLOCK
            if best is None or clocks < best[0]:
                best = clocks, tile, splits
    return best[1:]
