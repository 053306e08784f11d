"""What a student is told of a wrong gradient: where to look, not what to write.

The checker (tinyconv.gradient_check.diagnosis) names a mistake by comparing numbers; here each name has a
sentence that leads back to the derivation.
To add one: a line in HINTS, under the name of the hypothesis.
"""

import numpy as np

from .solutions import local_response_norm

HINTS = {
    # of the gradient as a whole
    "zero": "it is zero everywhere. What you computed never reached the array that is returned.",
    "sign": "it points exactly the wrong way. Which of the derivatives along the chain is negative, or was taken to be?",
    "another array": "it is one of the arrays that went in, unchanged. Which derivative should it be multiplied by?",
    "exchanged": "it is a right gradient, but of another array. With respect to which one is this function to differentiate?",
    "passed through": "dy goes through as it is. What does forward do to x in between, and what is the derivative of that?",
    "batch factor": "it is right but for a factor that depends on the number of images. Does forward add up over the batch, or average? And "
    "backward?",
    "known factor": "it is right but for a constant factor, the same everywhere. Which constant in forward, or which power, has a derivative that you left out, "
    "or took twice?",
    "factor": "it is right but for a constant factor, the same everywhere. Go through the chain rule factor by factor: which one is missing, "
    "or there twice?",
    "factor per channel": "it is right but for a factor that differs from channel to channel. Which parameter has one number a channel, and where does it "
    "belong?",
    "clipped": "it is right where it is small, and cut off where it is large. A gradient has no bounds.",
    "parameter added": "it is right, with a multiple of the parameter itself added. What does forward have to do with that?",
    "rounded": "it is right to 7 digits only. Somewhere numbers are kept as float32; what dtype do your own arrays have?",
    "not finite": "some elements are infinite or not a number. Where do you divide, or take a power, and can that number be zero or negative?",
    # of its shape
    "reshaped": "the numbers are right, their shape or order is not. Compare with the shape in the docstring: a gradient looks like its array.",
    "not summed": "it has one axis too many. Each parameter is used more than once in forward: what happens to the contributions of all its uses?",
    "transposed": "the numbers are right, but rows and columns are exchanged. Which index of the parameter comes first?",
    "wrong axes": "the sum goes over the wrong axes. Which indices does the array have, and which of dy are left over?",
    # of dy
    "dy ignored": "it does not depend on dy. What the next layers say must take part: how does the chain rule begin?",
    "dy flipped": "it is right for a dy that is turned round along some axis. Do window and output walk in the same direction?",
    "dy transposed": "it is right for a dy with two axes exchanged. In which order do its indices stand?",
    "dy averaged": "it sees only a mean of dy. Each element of dy belongs to its own y: where do they get mixed?",
    "dy overwritten": "it sees only a part of dy, as if each round of a loop undid the one before, or some rounds were missing. What becomes of several "
    "contributions to one element?",
    "dy shifted": "it is right for a dy that is moved by one place. Compare your indices with those of forward at the first place and at the last.",
    "x shifted": "it is right for an x that is moved by one place. Compare your indices, and the padding, with those of forward.",
    "dy border lost": "part of the border of dy takes no part. Where does your loop or slice begin, and where does it end?",
    "dy changed": "dy is changed before it is used. Only forward decides what is let through: look at x or y, not at the values of dy.",
    "not linear in dy": "twice the dy does not give twice the gradient. In the chain rule, how often does dy stand as a factor?",
    # of what forward has kept
    "earlier call": "it belongs to an earlier call. Everything that is needed comes in as an argument: what have you kept outside of the function?",
    "accumulated": "what an earlier call left is added to it. Where do the numbers begin, and are they zero there?",
    "not deterministic": "it differs from call to call. What have you drawn at random, or kept outside of the function, or left "
    "uninitialised (np.empty)?",
    "another mask": "it is right for another random mask. Which elements did forward let through?",
    # of the parameters and inputs that it is computed from
    "not rotated": "the window is turned round where it should not be, or the other way. Which x met weight[u, v], and where does its share "
    "go back to?",
    "flipped": "something is in reverse order. Which index runs backwards, and does it in forward?",
    "parameter missing": "a parameter takes no part in it, or another array does not. What is x multiplied by, or compared with, in forward?",
    "parameter transposed": "a parameter is used with its axes exchanged. Write the sum with its indices: over which one does it go?",
    "permuted": "the numbers are right, but stand in the wrong places along one axis. Which index of dy, and which of x, belong to each place?",
    "parameter permuted": "each map gets the parameter of another one. Which number belongs to which map?",
    "wrong argument": "the formula may be right, but what is put into it is not. At what value is the derivative taken: x, y, or something else?",
    "derivative misused": "dy is multiplied by something like the derivative, but not by it. Differentiate forward once more, step by step, "
    "and try a number.",
    "constant denominator": "the part of x in the denominator is not right, or missing. In how many ways does x act on y?",
    "neighbours left out": "the share of its own place alone is there. On which other outputs does this x act?",
    "label term": "it is right except at the right class of each image. What does the second term of the loss add there?",
    "chain": "the layers are not called in the right order, or not all of them are. Which factor of the product comes first, and which one last?",
    # of windows
    "overwritten": "where windows overlap, one contribution replaces another. What does the chain rule do with several ways from one x to E?",
    "averaged over windows": "where windows overlap, their contributions are averaged. Is that what the chain rule does with them?",
    "whole window": "all of a window gets what only some of it deserves. If a loser moves by a little, does y move?",
    "border lost": "part of the border stays zero. Where does your loop or slice begin, and where does it end?",
    "shifted": "the numbers are right, but moved. Where in the padded map does x begin?",
    "option": "it would be right for other settings. Do the stride, the padding, the size, and every other number stand in backward as in forward?",
    "left out": "some elements stay zero and should not. Which x does your loop never reach, though forward uses it?",
    "": "no common mistake explains it. Take the smallest x that you can, one image, one channel, and compute one element by hand.",
}


def hint(name):
    """The sentence for the name of a hypothesis, or of a refusal."""
    return HINTS.get(name, HINTS[""])


def _wrong_order(dy, layers):
    for layer in layers:
        dy = layer.backward(dy)
    return dy


def _dy_for_all(dy, layers):
    return [layer.backward(dy) for layer in reversed(layers)][-1]


def _one_too_few(dy, layers):
    for layer in reversed(layers[1:]):
        dy = layer.backward(dy)
    return dy


def _last_not_called(dy, layers):
    for layer in reversed(layers[:-1]):
        dy = layer.backward(dy)
    return dy


def _whole_window(dy, x, size, stride):
    dx = np.zeros(x.shape)
    for n, c, i, j in np.ndindex(*dy.shape):
        dx[n, c, i * stride[0] : i * stride[0] + size[0], j * stride[1] : j * stride[1] + size[1]] += dy[
            n, c, i, j
        ]
    return dx


def _power_kept(dy, x, size, k, alpha, beta):
    d = local_response_norm.denominator(x, size, k, alpha)
    return dy * d**-beta - 2 * alpha * beta * x * local_response_norm.neighbour_sums(dy * x * d**-beta, size)


NOT_SQUARED = (
    "a first derivative stands where its square belongs. How many factors does dy/dx have here, and "
    "which of them are squared?"
)
SQUARED_DDY = "ddy is squared too. In d2E/dx2 = d2E/dy2 (dy/dx)^2, what is squared?"

# Mistakes that only one exercise has: {exercise: [(array, a function that makes the mistake, hint), ...]}
OF_ONE = {
    "sequential": [
        (
            "x",
            _wrong_order,
            "the layers are called in the order of forward. What does the first factor of the product, "
            "read from the left, belong to?",
        ),
        ("x", _dy_for_all, "every layer is given the same dy. What does a layer hand back, and to whom?"),
        ("x", _one_too_few, "the first layer is never called. Where does your loop end?"),
        ("x", _last_not_called, "the last layer is never called. Where does your loop begin?"),
    ],
    "max_pool2d": [("x", _whole_window, HINTS["whole window"])],
    "local_response_norm": [
        (
            "x",
            _power_kept,
            "the part through the denominator is not right. What is the derivative of a power, and which "
            "power is left?",
        ),
    ],
    "diagonal_second_derivative": [
        ("x", lambda ddy, weight, y: (ddy * (1 - y * y)) @ weight, NOT_SQUARED),
        ("x", lambda ddy, weight, y: (ddy * (1 - y * y) ** 2) @ weight, NOT_SQUARED),
        ("x", lambda ddy, weight, y: (ddy * (1 - y * y)) @ weight**2, NOT_SQUARED),
        (
            "x",
            lambda ddy, weight, y: ((ddy * (1 - y * y)) @ weight) ** 2,
            "the sum is squared. Square each dy/dx first, then add up.",
        ),
        ("x", lambda ddy, weight, y: (ddy * (1 - y * y)) ** 2 @ weight**2, SQUARED_DDY),
        ("weight", lambda ddy, x, y: (ddy * (1 - y * y)).T @ x, NOT_SQUARED),
        ("weight", lambda ddy, x, y: (ddy * (1 - y * y) ** 2).T @ x, NOT_SQUARED),
        ("weight", lambda ddy, x, y: (ddy * (1 - y * y)).T @ x**2, NOT_SQUARED),
        ("weight", lambda ddy, x, y: (ddy * (1 - y * y)).T ** 2 @ x**2, SQUARED_DDY),
        ("bias", lambda ddy, y: (ddy * (1 - y * y)).sum(axis=0), NOT_SQUARED),
        ("bias", lambda ddy, y: ((ddy * (1 - y * y)) ** 2).sum(axis=0), SQUARED_DDY),
    ],
}


def hint_of_one(exercise, gradients, array):
    """The hint for a mistake that only this exercise has; None where what is found is none of them. gradients
    as Exercise.build takes them.
    """
    for wrong_array, wrong, sentence in OF_ONE.get(exercise.name, ()):
        names = exercise.arguments(exercise.functions[wrong_array])
        made = {**gradients, wrong_array: lambda arguments: wrong(*(arguments[name] for name in names))}
        if wrong_array == array:
            found, expected = _first_gradients(exercise, gradients), _first_gradients(exercise, made)
            if all(
                alike(found[key], expected[key])
                for key in (expected if len(exercise.functions) == 1 else [array])
            ):
                return sentence
    return None


def _first_gradients(exercise, gradients):
    obj, x, _ = exercise.build(gradients)[0]
    dy = np.random.default_rng(1).standard_normal(np.shape(obj.forward(x)))
    return {"x": obj.backward(dy), **obj.grads}


def alike(a, b):
    """Return True for two arrays of one shape that agree to 9 digits."""
    return np.shape(a) == np.shape(b) and np.allclose(a, b, rtol=1e-9, atol=1e-12)
