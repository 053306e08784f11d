"""A pytest plugin: the fixture `gradcheck`. Where tinyconv is installed, pytest finds it by itself.

    def test_scale(gradcheck):
        gradcheck(Scale(), x)

Every pytest of the environment loads this file, so it imports nothing heavy until the fixture is used.
"""

import types

import pytest


@pytest.fixture(scope="session")
def gradcheck():
    """gradcheck(obj, x=None, **options): tinyconv.check_gradients; the test fails with the table and the
    diagnosis where a gradient is wrong.

    Gives the Report. The traceback ends in the test, or in the code that is tested, and not in tinyconv.
    """

    def gradcheck(obj, x=None, **options):
        __tracebackhide__ = True
        from .gradient_check import assert_gradients

        try:
            return assert_gradients(obj, x, **options)
        except Exception as error:
            raise error.with_traceback(_without_the_checker(error.__traceback__))  # noqa: B904

    return gradcheck


def _without_the_checker(tb):
    """A traceback without the frames of this package's checker: of an error in a forward of the user's own,
    the user's frames stay.
    """
    frames = []
    while tb is not None:
        if not tb.tb_frame.f_globals.get("__name__", "").startswith(
            (f"{__package__}.gradient_check", __name__)
        ):
            frames.append((tb.tb_frame, tb.tb_lasti, tb.tb_lineno))
        tb = tb.tb_next
    for frame in reversed(frames):
        tb = types.TracebackType(tb, *frame)
    return tb
