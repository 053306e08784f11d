"""The recipe that a run's settings name (models/ has them), and what it builds."""

from typing import Any

from ..errors import TinyconvError
from ..models import MODELS
from ..recipe import Recipe


def default_loss(model: str) -> str:
    """Return the loss of the model's first recipe."""
    return next(iter(MODELS[model].recipes))


def recipe(model: str, loss: str) -> Recipe:
    """Return the recipe of a model with a loss. Raises TinyconvError where they do not go together."""
    recipes = MODELS[model].recipes
    if loss not in recipes:
        missing = "rbf output units" if loss in ("map", "mse") else "recipe"
        raise TinyconvError(f"{model} has no {missing} for --loss {loss}: use --loss {' or '.join(recipes)}")
    return recipes[loss]


def build(settings: dict, rng: Any = None) -> tuple:
    """Return the network, untrained, and the loss of a run's settings.

    Raises TinyconvError for options that do not go together.
    """
    chosen = recipe(settings["model"], settings["loss"])
    try:
        return chosen.network(len(settings["class_names"]), rng, **settings["options"]), chosen.loss()
    # such as a preset and groups that it does not have
    except ValueError as error:
        raise TinyconvError(str(error)) from None
