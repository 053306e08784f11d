"""The course: backward passes to write, and a grader that says what is wrong with them.

solutions/     each exercise as one NumPy file, solved
blank.py       makes the exercises from them: the body of every backward function is taken out
exercises.py   the table of exercises, and the points at which each is checked
operations.py  an exercise as an object that tinyconv.gradient_check can check
running.py     what a student has written, loaded and called, whatever it does
grading.py     credit for each gradient
hints.py       what to say of each mistake that the checker can name, without giving the answer away
"""

from .blank import write
from .exercises import EXERCISES
from .grading import grade, grade_file

__all__ = ["EXERCISES", "grade", "grade_file", "write"]
