"""The checker, checked: how many wrong passes it finds and names, and how often it calls a right one wrong.

    mutants.py         the table of wrong backward passes of real layers
    wrong_passes.py    their code, as people write it
    other_checkers.py  the criteria of other gradient checkers, as their documentation gives them
    scoring.py         run(): each checker judges every mutant, and right layers at random points

Imports go from this room to the checker, never back.
"""

from .mutants import MUTANTS
from .scoring import OURS, RIGHT, Scores, run

__all__ = ["MUTANTS", "OURS", "RIGHT", "Scores", "run"]
