"""Every kernel of the cuda backend as machine code, made without a GPU: in processes of their own,
since this one may have the simulator.
"""

import os
import subprocess
import sys

import pytest

from tinyconv.benchmarks.cubins import Launch, Resources, compiler, faults
from tinyconv.kernels._cuda import package

pytestmark = pytest.mark.skipif(
    not package.INSTALLED,
    reason="numba-cuda is not installed: pip install 'tinyconv[cuda]' (there is none for macOS)",
)

# Three kernels: a literal makes a float64, more is kept than registers hold, and one breaks no rule.
RULES = """
import numpy as np
from tinyconv.benchmarks.cubins import Launch, faults, resources
from tinyconv.kernels._cuda.launch import cuda, kernel

@kernel
def literal(x, y):
    e = cuda.grid(1)
    y[e] = 0.5 * x[e] + x[e] / 3

@kernel(max_registers=24)
def hoards(x, y):
    e = cuda.grid(1)
    a, b, c, d, f, g, h, i = x[e], x[e+1], x[e+2], x[e+3], x[e+4], x[e+5], x[e+6], x[e+7]
    j, k, l, m, n, o, p, q = x[e+8], x[e+9], x[e+10], x[e+11], x[e+12], x[e+13], x[e+14], x[e+15]
    cuda.syncthreads()
    for _ in range(x.size):
        a, b, c, d, f, g, h, i, j, k, l, m, n, o, p, q = q, a*b, b*c, c*d, d*f, f*g, g*h, h*i, i*j, j*k, k*l, l*m, m*n, n*o, o*p, p*q
    y[e] = a+b+c+d+f+g+h+i+j+k+l+m+n+o+p+q

@kernel
def shares(x, y):
    tile = cuda.shared.array(128, x.dtype)
    tile[cuda.threadIdx.x] = x.dtype.type(0.5) * x[cuda.grid(1)]
    cuda.syncthreads()
    y[cuda.grid(1)] = tile[127 - cuda.threadIdx.x]

x = np.ones(512, np.float32)
found = {one.__name__: Launch(one, (x, x), threads=256) for one in (literal, hoards, shares)}
found["double"] = Launch(literal, (x.astype(float), x), threads=256)
for launch in found.values():
    launch.found = resources(launch, ["sm_90"])
assert found["shares"].found["sm_90"].shared == 512, found["shares"].found
print(*faults(found, {"compiler": "", "kernels": {name: {"sm_90": [255, 1024, 512 * (name == "shares")]} for name in found}}, ["sm_90"]), sep="\\n")
"""  # noqa: E501


def python(*arguments):
    done = subprocess.run(
        [sys.executable, *arguments],
        env=os.environ | {"NUMBA_ENABLE_CUDASIM": "0"},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


def test_every_kernel_is_as_in_the_table(pytestconfig):
    file, process = pytestconfig.cubins  # begun by conftest.py
    status = process.wait()
    file.seek(0)
    said = file.read()
    assert status == 0, said[-8000:]
    assert " kernels for sm_80, sm_90: as in cubins.json" in said


def test_what_the_compiler_reports_is_held_to_the_rules(tmp_path):
    (tmp_path / "rules.py").write_text(RULES)
    status, said = python(str(tmp_path / "rules.py"))
    assert status == 0, said
    lines = sorted(said.splitlines())
    assert [line.split(", sm_90: ")[0] for line in lines] == ["hoards", "literal"], said
    assert (
        "bytes of registers are spilled" in lines[0]
        and "instructions on float64, and it was given no float64 array" in lines[1]
    )


@pytest.mark.parametrize(
    "now, allowed, expected",
    [
        (Resources(40, 0, 512), [40, 0, 512], []),
        (Resources(39, 0, 512), [40, 8, 512], []),
        (Resources(41, 0, 512), [40, 0, 512], ["41 registers, expected 40 at most"]),
        (Resources(40, 16, 512), [40, 8, 512], ["16 bytes of stack, expected 8 at most"]),
        (Resources(40, 0, 256), [40, 0, 512], ["256 bytes of shared memory, expected 512"]),
        (Resources(40, 0, 0, spilled=4), [40, 0, 0], ["4 bytes of registers are spilled"]),
        (Resources(129, 0, 0), [255, 0, 0], ["129 registers for each of 512 threads: it would not start"]),
    ],
)
def test_the_table_holds(now, allowed, expected):
    launch = Launch(None, (), threads=512, found={"sm_90": now})
    table = {"compiler": compiler(), "kernels": {"one": {"sm_90": allowed}}}
    assert list(faults({"one": launch}, table, ["sm_90"])) == [f"one, sm_90: {fault}" for fault in expected]


def test_another_compiler_may_take_other_registers_but_not_spill():
    launch = Launch(None, (), threads=256, found={"sm_90": Resources(99, 8, 0, spilled=4)})
    table = {"compiler": "another", "kernels": {"one": {"sm_90": [40, 0, 0]}}}
    assert list(faults({"one": launch}, table, ["sm_90"])) == ["one, sm_90: 4 bytes of registers are spilled"]


def test_missing_and_superfluous_rows_are_errors():
    launch = Launch(None, (), threads=256, found={"sm_90": Resources(40, 0, 0)})
    wrong = list(
        faults(
            {"new": launch}, {"compiler": compiler(), "kernels": {"gone": {"sm_90": [40, 0, 0]}}}, ["sm_90"]
        )
    )
    assert (
        len(wrong) == 2
        and wrong[0].startswith("gone: ")
        and wrong[1].startswith("new: ")
        and all("--update" in line for line in wrong)
    )
