"""Names beside the points of a picture, none on top of another one, of a point, or beyond the edge."""

import math
from itertools import combinations

STEP = 6  # points (1/72 inch) between the distances that are tried
ANGLES = 16  # directions that are tried at each distance
FARTHEST = 60  # steps
GAP = 1.5  # points that stay free around a name


def place(axes, points, colors, size=7):
    """Write the names of points, {(x, y): name}, each at the free place that is nearest to its point, and
    with a line to the point where that is not beside it. colors: {(x, y): color}. Return the texts.

    The picture must be complete but for them: its layout is fixed here.
    """
    figure = axes.figure
    figure.draw_without_rendering()  # now each point has its place
    figure.set_layout_engine("none")
    scale, frame = 72 / figure.dpi, _Box.of(axes.get_window_extent(), 72 / figure.dpi)
    at = {point: tuple(axes.transData.transform(point) * scale) for point in points}
    taken = [_Box.around(place, 3) for place in at.values()]
    taken += [_Box.around(place, 1) for line in axes.lines for place in _along(line, scale)]
    made = []
    # the most crowded ones first: they have the fewest free places
    for point in sorted(points, key=lambda one: sum(math.dist(at[one], other) for other in at.values())):
        text = axes.annotate(
            points[point],
            point,
            fontsize=size,
            color=colors[point],
            textcoords="offset points",
            xytext=(0, 0),
        )
        box = _Box.of(text.get_window_extent(), scale)
        width, height = box.right - box.left, box.top - box.bottom
        moved = _free(at[point], width, height, taken, frame)
        text.set_position((moved.left - at[point][0], moved.bottom - at[point][1]))
        if moved.distance(at[point]) > 2 * STEP:
            _line(axes, point, at[point], moved, colors[point])
        taken.append(moved.grown(GAP))
        made.append(text)
    return made


def overlapping(texts):
    """Return the pairs of names of which one lies on top of the other."""
    boxes = [(text.get_text(), _Box.of(text.get_window_extent(), 1)) for text in texts]
    return [(a, b) for (a, one), (b, other) in combinations(boxes, 2) if one.meets(other)]


def _free(center, width, height, taken, frame):
    """The nearest free box of this size. Where nothing is free, the place beside the point."""
    beside = None
    for distance in range(1, FARTHEST):
        for turn in range(ANGLES):
            angle = 2 * math.pi * turn / ANGLES
            # the box's nearest edge is that far away from the point
            x = center[0] + math.cos(angle) * (distance * STEP + width / 2) - width / 2
            y = center[1] + math.sin(angle) * (distance * STEP + height / 2) - height / 2
            box = _Box(x, y, x + width, y + height)
            beside = beside or box
            if frame.holds(box) and not any(box.meets(other) for other in taken):
                return box
    return beside


def _along(line, scale):
    """Places on a straight line of the picture, near each other."""
    (x0, y0), (x1, y1) = line.get_transform().transform(line.get_xydata())[[0, -1]] * scale
    count = max(2, int(math.dist((x0, y0), (x1, y1)) / 3))
    return [(x0 + (x1 - x0) * n / count, y0 + (y1 - y0) * n / count) for n in range(count + 1)]


def _line(axes, point, at, box, color):
    """A thin line from a point to the nearest edge of its name."""
    x, y = box.nearest(at)
    axes.annotate(
        "",
        point,
        (x - at[0], y - at[1]),
        textcoords="offset points",
        arrowprops={"arrowstyle": "-", "linewidth": 0.4, "color": color, "shrinkA": 0, "shrinkB": 2},
    )


class _Box:
    """A rectangle, in points."""

    def __init__(self, left, bottom, right, top):
        self.left, self.bottom, self.right, self.top = left, bottom, right, top

    @classmethod
    def of(cls, extent, scale):
        return cls(extent.x0 * scale, extent.y0 * scale, extent.x1 * scale, extent.y1 * scale)

    @classmethod
    def around(cls, place, by):
        return cls(place[0] - by, place[1] - by, place[0] + by, place[1] + by)

    def grown(self, by):
        return _Box(self.left - by, self.bottom - by, self.right + by, self.top + by)

    def meets(self, other):
        across = self.left < other.right and other.left < self.right
        return across and self.bottom < other.top and other.bottom < self.top

    def holds(self, other):
        across = self.left <= other.left and other.right <= self.right
        return across and self.bottom <= other.bottom and other.top <= self.top

    def nearest(self, point):
        """The place in it that is nearest to a point."""
        return min(max(point[0], self.left), self.right), min(max(point[1], self.bottom), self.top)

    def distance(self, point):
        return math.dist(point, self.nearest(point))
