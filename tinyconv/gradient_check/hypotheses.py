"""The table of known mistakes. The first hypothesis that predicts every element of a wrong gradient names the mistake, so the plainer stand first.

To add one: a name, a sentence, and a function of predictions.py that gives the arrays, or changed calls, that the mistake would lead to.
"""
from collections.abc import Callable
from dataclasses import dataclass

from . import predictions as p


@dataclass(frozen=True)
class Hypothesis:
    """One mistake; claims(evidence) gives what it predicts (predictions.Claim)."""

    name: str
    sentence: str                # {array}: dx, dweight ...; {name}: x, weight ...; {detail}: of the claim that fits
    claims: Callable


HYPOTHESES = (
    # of the gradient as a whole
    Hypothesis("zero", "{array} is zero everywhere: it is never computed, or lost.", p.zero),
    Hypothesis("sign", "{array} has the wrong sign: it is minus the true gradient.", p.sign),
    Hypothesis("another array", "{array} is {detail}, and no gradient.", p.another_array),
    Hypothesis("exchanged", "{array} holds the gradient of {detail}: two gradients are exchanged.", p.exchanged),
    Hypothesis("passed through", "{array} is dy itself{detail}: the derivative of this layer, or its mask, is missing.", p.passed_through),
    Hypothesis("batch factor", "{array} is {detail}: summed over the batch where it should be averaged, or the other way round, or divided twice.",
               p.batch_factor),
    Hypothesis("known factor", "{array} is the true gradient times {detail}.", p.known_factor),
    Hypothesis("factor", "{array} is the true gradient times {detail}: a constant is missing, or is there twice.", p.factor),
    Hypothesis("factor per channel", "{array} is the true gradient {detail}, channel by channel: the parameter is missing, or is there twice.",
               p.channel_factor),
    # of its shape
    Hypothesis("reshaped", "{array} has the right numbers in the wrong shape or order: {detail}.", p.reshaped),
    Hypothesis("not summed", "{array} is not summed over {detail}: one gradient too many for each.", p.not_summed),
    Hypothesis("transposed", "{array} is the true gradient with its axes exchanged: {detail}.", p.transposed),
    Hypothesis("wrong axes", "{array} is dy {detail}: the sum goes over the wrong axes.", p.wrong_axes),
    # of dy
    Hypothesis("dy ignored", "{array} is what it would be for a dy of {detail}: backward does not use the dy that it is given.", p.dy_ignored),
    Hypothesis("dy flipped", "{array} is what it would be if dy were flipped along its {detail}.", p.dy_flipped),
    Hypothesis("dy transposed", "{array} is what it would be if {detail} of dy were exchanged.", p.dy_transposed),
    Hypothesis("dy averaged", "{array} is what it would be if dy were replaced by its mean over {detail}.", p.dy_averaged),
    Hypothesis("dy overwritten", "{array} sees only {detail} of dy: = where += belongs, or a loop that ends too early.", p.dy_one),
    Hypothesis("dy shifted", "{array} is what it would be if dy were shifted by one {detail}: an index, stride or padding is off by one.", p.dy_shifted),
    Hypothesis("dy border lost", "{array} is what it would be if {detail} of dy were zero: a loop or slice is too short.", p.dy_border),
    Hypothesis("dy changed", "{array} is what it would be for {detail} in the place of dy.", p.dy_changed),
    # of what forward has kept
    Hypothesis("earlier call", "{array} is the gradient {detail}: a cache is not renewed, or kept for too long.", p.earlier_call),
    Hypothesis("accumulated", "{array} is the true gradient plus that of the call before: += adds to it where = belongs.", p.accumulated),
    Hypothesis("another mask", "{array} uses another random mask than the forward pass: it must keep the one that it has drawn.", p.another_mask),
    # of the parameters and inputs that it is computed from
    Hypothesis("not rotated", "{array} is what it would be if {detail} were flipped along its rows and columns: the kernel is rotated where it should not "
                              "be, or not rotated where it should.", p.not_rotated),
    Hypothesis("flipped", "{array} is {detail}.", p.flipped),
    Hypothesis("parameter missing", "{array} is what it would be if {detail}: the factor is missing.", p.parameter_missing),
    Hypothesis("parameter transposed", "{array} is what it would be if {detail} were exchanged.", p.parameter_transposed),
    Hypothesis("permuted", "{array} is the true gradient with its order along an axis changed: {detail}.", p.permuted),
    Hypothesis("parameter permuted", "{array} is what it would be if {detail}: groups, filters or maps of the table are confused.", p.parameter_permuted),
    Hypothesis("wrong argument", "{array} is what it would be with the derivative taken at {detail}.", p.wrong_argument),
    Hypothesis("derivative misused", "{array} is dy {detail}.", p.derivative_misused),
    Hypothesis("constant denominator", "{array} is dy y / x: the denominator is treated as a constant, though it depends on x.", p.constant_denominator),
    Hypothesis("neighbours left out", "{array} has only the influence of each input on the output at its own place: that on its neighbours is left out.",
               p.neighbours_left_out),
    Hypothesis("label term", "{array} differs from the true gradient at the label of each image only, by {detail} each.", p.label_term),
    # of windows
    Hypothesis("overwritten", "{array} has only the {detail} contribution of each element: where windows overlap they must be added (+=), not overwritten.",
               p.overwritten),
    Hypothesis("averaged over windows", "{array} is divided by the number of windows that each element lies in.", p.averaged_over_windows),
    Hypothesis("whole window", "{array} goes to all elements of the window{detail}, not to the largest alone.", p.whole_window),
    Hypothesis("border lost", "{array} is right but for {detail}, which stays zero: a loop or slice is too short.", p.border_lost),
    Hypothesis("shifted", "{array} is shifted by {detail}: a padding or index is off.", p.shifted),
    Hypothesis("option", "{array} is what it would be with {detail}.", p.option),
    Hypothesis("left out", "{array} is right, except for elements that stay zero and should not.", p.left_out),
)
