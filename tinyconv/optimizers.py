"""The optimizers and schedules by their older name; they live in tinyconv.optim."""

from .optim import SGD, Adam, Optimizer, constant, cosine, lowered_at, plateau, stepped

__all__ = ["SGD", "Adam", "Optimizer", "constant", "cosine", "lowered_at", "plateau", "stepped"]
