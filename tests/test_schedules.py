"""Learning rates over the steps of a run."""

import pytest

from tinyconv.optimizers import constant, cosine, lowered_at, plateau, stepped


def test_lowered_at_given_steps():
    rate = lowered_at(0.1, [3, 5])
    assert [rate(step) for step in range(7)] == pytest.approx([0.1] * 3 + [0.01] * 2 + [0.001] * 2)
    assert lowered_at(0.1, [])(9) == constant(0.1)(9) == 0.1
    assert [stepped(1.0, 2)(step) for step in range(4)] == [
        rate(0) / 0.1 * value for value in (1, 1, 0.1, 0.1)
    ]


def test_cosine():
    assert (
        cosine(0.2, 10)(0) == 0.2
        and cosine(0.2, 10)(5) == pytest.approx(0.1)
        and cosine(0.2, 10)(10) == cosine(0.2, 10)(99) == 0
    )


@pytest.mark.parametrize(
    "errors, divisions",
    [
        ([], 0),
        ([5, 4, 3, 2], 0),
        ([5, 5], 0),
        ([5, 5, 6], 1),
        ([5, 4, 4, 3, 3], 0),
        ([5, 6, 4, 5, 4], 1),
        ([5, 5, 5, 5], 1),
        ([5, 5, 5, 5, 5], 2),  # after a division the same patience again
        ([5, 6, 6, 4, 4, 4], 2),
        ([1] * 30, 3),  # three times at most
    ],
)
def test_plateau_divides_where_the_error_stops_improving(errors, divisions):
    assert plateau(0.01, lambda: errors, patience=2)(0) == pytest.approx(0.01 / 10**divisions)
