"""The codes of LeNet-5's ten output units: a drawing of each digit, 7 wide and 12 high, ink +1 and paper -1.

The 1998 paper draws its own (figure 3) so that classes that look alike have codes that are alike: mistakes
then stay near. These are our drawings. Any two differ in at least 14 of 84 pixels (measured, and held by a
test).
"""

import numpy as np

HEIGHT, WIDTH = 12, 7

DRAWINGS = """
.......  .......  .......  .......  .......  .......  ...###.  .......  .......  .......
..###..  ...##..  .#####.  #######  ##...##  #######  ..##...  #######  .#####.  .#####.
.##.##.  ..###..  ##...##  .....##  ##...##  ##.....  .##....  ##...##  ##...##  ##...##
##...##  .####..  .....##  ....##.  ##...##  ##.....  ##.....  .....##  ##...##  ##...##
##...##  ...##..  .....##  ...##..  ##...##  ##.....  ##.....  ....##.  .##.##.  ##...##
##...##  ...##..  ....##.  ..####.  ##...##  ######.  ##.###.  ....##.  ..###..  ##..###
##...##  ...##..  ...##..  .....##  .######  .....##  ###..##  ...##..  .##.##.  .###.##
##...##  ...##..  ..##...  .....##  .....##  .....##  ##...##  ...##..  ##...##  .....##
##...##  ...##..  .##....  .....##  .....##  .....##  ##...##  ..##...  ##...##  .....##
.##.##.  ...##..  ##.....  ##...##  .....##  ##...##  ##...##  ..##...  ##...##  ....##.
..###..  .######  #######  .#####.  .....##  .#####.  .#####.  ..##...  .#####.  ...##..
.......  .......  .......  .......  .......  .......  .......  .......  .......  .###...
"""


def digit_codes() -> np.ndarray:
    """(10, 84) float32 of +1 and -1: the drawing of each digit, row by row."""
    rows = [line.split() for line in DRAWINGS.split("\n") if line]
    drawings = np.array([[list(cells) for cells in row] for row in rows]).transpose(1, 0, 2)  # (10, 12, 7)
    return np.where(drawings == "#", 1, -1).astype(np.float32).reshape(len(drawings), HEIGHT * WIDTH)
