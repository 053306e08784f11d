"""Batches of a data set whose bytes lie on the GPU: what a step reads of it, and what it leaves behind. The
GPU's side of kernels/views.py, with the same bits.

A counter on the GPU says which step of the epoch it is, so that one graph serves them all:

    take_batch    x = the views of images order[step B], order[step B + 1], ...; their labels
    take_numbers  the numbers of the optimizer's step
    keep_batch    the scores and losses of the step, to where the epoch keeps them; counter + 1
"""

from .launch import cuda, divided, kernel
from .ptx import product


def take_batch(counter, most, images, labels, order, corners, mirrored, noise, scale, offset, outside, x, y):
    """Fill x (C, h, w, n) as take_images does, and y (n,) with the labels (N,) of these images."""
    take_images(counter, most, images, order, corners, mirrored, noise, scale, offset, outside, x)
    _take_labels[y.size](counter, most, labels, order, y)


def take_images(counter, most, images, order, corners, mirrored, noise, scale, offset, outside, x):
    """Fill x (C, h, w, n) with the n views of step counter[0], which begin at place most * counter[0].

    images uint8 (N, C, H, W); order, corners, mirrored, noise: of all places of the epoch, as take_views of
    kernels/views.py has them; most: images of a whole batch
    """
    views = order, corners, mirrored, noise
    _take[x.size](counter, most, images, *views, scale, offset, outside, x.shape, x.reshape(x.size))


@kernel
def _take(counter, most, images, order, corners, mirrored, noise, scale, offset, outside, shape, x):
    H, W, (_, h, w, N) = images.shape[2], images.shape[3], shape
    first = most * counter[0]
    for e in range(cuda.grid(1), x.size, cuda.gridsize(1)):
        pixel, n = divided(e, N)
        row, j = divided(pixel, w)
        c, i = divided(row, h)
        place = first + n
        column = w - 1 - j if mirrored[place] else j
        top, left = corners[place, 0] + i, corners[place, 1] + column
        if 0 <= top < H and 0 <= left < W:
            byte = offset.dtype.type(images[order[place], c, top, left])
            # rounded before the sum, as on the processor
            x[e] = product(scale, byte) + (offset[c, top, left] + noise[place, c])
        else:
            x[e] = outside


@kernel
def _take_labels(counter, most, labels, order, y):
    for n in range(cuda.grid(1), y.size, cuda.gridsize(1)):
        y[n] = labels[order[most * counter[0] + n]]


def take_numbers(counter, table, numbers):
    """numbers = table[counter[0]]: those of an optimizer's step."""
    _take_numbers[numbers.size](counter, table, numbers)


@kernel
def _take_numbers(counter, table, numbers):
    for place in range(cuda.grid(1), numbers.size, cuda.gridsize(1)):
        numbers[place] = table[counter[0], place]


def keep_batch(counter, most, scores, losses, all_scores, all_losses):
    """all_losses[most * counter[0] + n] = losses[n]; then what keep_scores does."""
    _keep_losses[losses.size](counter, most, losses, all_losses)
    keep_scores(counter, most, scores, all_scores)


@kernel
def _keep_losses(counter, most, losses, all_losses):
    for n in range(cuda.grid(1), losses.size, cuda.gridsize(1)):
        all_losses[most * counter[0] + n] = losses[n]


def keep_scores(counter, most, scores, all_scores):
    """all_scores[most * counter[0] + n] = scores[n]; then the counter goes on."""
    _keep_scores[scores.size](counter, most, scores, all_scores)
    _advance[1](counter)


@kernel
def _keep_scores(counter, most, scores, all_scores):
    first, K = most * counter[0], scores.shape[1]
    for e in range(cuda.grid(1), scores.size, cuda.gridsize(1)):
        n, k = divided(e, K)
        all_scores[first + n, k] = scores[n, k]


@kernel
def _advance(counter):
    if cuda.grid(1) == 0:
        counter[0] += 1
