"""The pictures that the command line draws."""

import pytest

from tinyconv.cli.pictures import draw_curves
from tinyconv.cli.run_folder import Run


@pytest.mark.parametrize("held_out, error", [(True, 0.5), (False, 0.0)])
def test_what_the_curves_show(held_out, error, tmp_path, monkeypatch):
    """Test images that were trained on are called so, epochs are whole, and an error of 0 has a place."""
    figures = pytest.importorskip(
        "matplotlib.figure", reason="curves are drawn where matplotlib is installed"
    )
    shown, real = [], figures.Figure.savefig
    monkeypatch.setattr(
        figures.Figure,
        "savefig",
        lambda self, *args, **options: shown.append(self) or real(self, *args, **options),
    )
    history = [
        {"epoch": n, "loss": 1 / n, "test_loss": 1 / n, "error": error / n, "test_error": 0.5} for n in (1, 2)
    ]
    draw_curves(Run(tmp_path, {}), history, held_out)
    losses, errors = shown[0].axes
    assert [text.get_text() for text in errors.get_legend().get_texts()][1] == (
        "test" if held_out else "training images, after the epoch"
    )
    assert losses.get_yscale() == "log" and errors.get_yscale() == ("log" if error else "linear")
    assert all(tick == int(tick) for tick in errors.get_xticks())
