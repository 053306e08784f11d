"""The table of known mistakes. The first hypothesis that predicts every element of a wrong gradient names the
mistake, so the plainer stand first.

To add one: a name, a sentence, and a function that gives what the mistake would lead to: arrays
(predictions.py), or calls with something else in them (predicted_calls.py).
"""

from collections.abc import Callable
from dataclasses import dataclass

from . import predicted_calls as call, predictions as gradient


@dataclass(frozen=True)
class Hypothesis:
    """One mistake; claims(evidence) gives what it predicts (claims.Claim)."""

    name: str
    sentence: str  # {array}: dx, dweight ...; {name}: x, weight ...; {detail}: of the claim that fits
    claims: Callable


HYPOTHESES = (
    # of the gradient as a whole
    Hypothesis("zero", "{array} is zero everywhere: it is never computed, or lost.", gradient.zero),
    Hypothesis("sign", "{array} has the wrong sign: it is minus the true gradient.", gradient.sign),
    Hypothesis("another array", "{array} is {detail}, and no gradient.", gradient.another_array),
    Hypothesis(
        "exchanged",
        "{array} holds the gradient of {detail}: two gradients are exchanged.",
        gradient.exchanged,
    ),
    Hypothesis(
        "passed through",
        "{array} is dy itself{detail}: the derivative of this layer, or its mask, is missing.",
        gradient.passed_through,
    ),
    Hypothesis("batch factor", "{array} is {detail}.", gradient.batch_factor),
    Hypothesis("known factor", "{array} is the true gradient times {detail}.", gradient.known_factor),
    Hypothesis(
        "factor",
        "{array} is the true gradient times {detail}: a constant is missing, or is there twice.",
        gradient.factor,
    ),
    Hypothesis("clipped", "{array} is the true gradient, clipped to {detail}.", gradient.clipped),
    Hypothesis(
        "parameter added",
        "{array} is the true gradient plus {detail}: weight decay belongs to the optimizer.",
        gradient.parameter_added,
    ),
    # of its shape
    Hypothesis(
        "reshaped", "{array} has the right numbers in the wrong shape or order: {detail}.", gradient.reshaped
    ),
    Hypothesis(
        "not summed",
        "{array} is not summed over {detail}: one gradient too many for each.",
        gradient.not_summed,
    ),
    Hypothesis(
        "transposed", "{array} is the true gradient with its axes exchanged: {detail}.", gradient.transposed
    ),
    Hypothesis(
        "wrong axes", "{array} is dy {detail}: the sum goes over the wrong axes.", gradient.wrong_axes
    ),
    # of dy
    Hypothesis(
        "dy ignored",
        "{array} is what it would be for a dy of {detail}: backward does not use the dy that it is given.",
        call.dy_ignored,
    ),
    Hypothesis(
        "dy flipped", "{array} is what it would be if dy were flipped along its {detail}.", call.dy_flipped
    ),
    Hypothesis(
        "dy transposed", "{array} is what it would be if {detail} of dy were exchanged.", call.dy_transposed
    ),
    Hypothesis(
        "dy averaged",
        "{array} is what it would be if dy were replaced by its mean over {detail}.",
        call.dy_averaged,
    ),
    Hypothesis(
        "dy overwritten",
        "{array} sees only {detail} of dy: = where += belongs, or a loop that ends too early.",
        call.dy_one,
    ),
    Hypothesis(
        "dy shifted",
        "{array} is what it would be if dy were shifted by one {detail}: an index, stride or padding is "
        "off by one.",
        call.dy_shifted,
    ),
    Hypothesis(
        "x shifted",
        "{array} is what it would be if x were shifted by one {detail}: an index or padding is off by one.",
        call.x_shifted,
    ),
    Hypothesis(
        "dy border lost",
        "{array} is what it would be if {detail} of dy were zero: a loop or slice is too short.",
        call.dy_border,
    ),
    Hypothesis("dy changed", "{array} is what it would be for {detail} in the place of dy.", call.dy_changed),
    # of what forward has kept
    Hypothesis(
        "earlier call",
        "{array} is the gradient {detail}: a cache is not renewed, or kept for too long.",
        call.earlier_call,
    ),
    Hypothesis(
        "accumulated",
        "{array} is the true gradient plus that of the call before: += adds to it where = belongs.",
        call.accumulated,
    ),
    # of the parameters and inputs that it is computed from
    Hypothesis(
        "not rotated",
        "{array} is what it would be if {detail} were flipped along its rows and columns: the kernel is "
        "rotated where it should "
        "not be, or not rotated where it should.",
        call.not_rotated,
    ),
    Hypothesis("flipped", "{array} is {detail}.", call.flipped),
    Hypothesis(
        "parameter missing",
        "{array} is what it would be if {detail}: the factor is missing.",
        call.parameter_missing,
    ),
    Hypothesis(
        "factor per channel",
        "{array} is the true gradient {detail}, channel by channel: the parameter is missing, or is there "
        "twice.",
        gradient.channel_factor,
    ),
    Hypothesis(
        "parameter transposed",
        "{array} is what it would be if {detail} were exchanged.",
        call.parameter_transposed,
    ),
    Hypothesis(
        "permuted",
        "{array} is the true gradient with its order along an axis changed: {detail}.",
        call.permuted,
    ),
    Hypothesis(
        "parameter permuted",
        "{array} is what it would be if {detail}: groups, filters or maps of the table are confused.",
        call.parameter_permuted,
    ),
    Hypothesis(
        "wrong argument",
        "{array} is what it would be with the derivative taken at {detail}.",
        call.wrong_argument,
    ),
    Hypothesis(
        "another mask",
        "{array} uses another random mask than the forward pass: it must keep the one that it has drawn.",
        call.another_mask,
    ),
    Hypothesis("derivative misused", "{array} is dy {detail}.", call.derivative_misused),
    Hypothesis(
        "constant denominator",
        "{array} {detail}: the denominator depends on x too.",
        call.constant_denominator,
    ),
    Hypothesis(
        "neighbours left out",
        "{array} has only the influence of each input on the output at its own place: that on others is "
        "left out.",
        call.neighbours_left_out,
    ),
    Hypothesis(
        "label term",
        "{array} differs from the true gradient at the label of each image only, by {detail} each.",
        call.label_term,
    ),
    # of a network whose layers are right, each alone
    Hypothesis(
        "chain",
        "{array} is what comes of {detail}: dy goes through the layers in the order opposite to forward, "
        "through each one once.",
        call.chain,
    ),
    # of windows
    Hypothesis(
        "overwritten",
        "{array} has only the {detail} contribution of each element: overlapping windows must be added "
        "(+=), not overwritten.",
        gradient.overwritten,
    ),
    Hypothesis(
        "averaged over windows",
        "{array} is divided by the number of windows that each element lies in.",
        gradient.averaged_over_windows,
    ),
    Hypothesis(
        "whole window",
        "{array} goes to all elements of the window{detail}, not to the largest alone.",
        gradient.whole_window,
    ),
    Hypothesis(
        "border lost",
        "{array} is right but for {detail}, which stays zero: a loop or slice is too short.",
        gradient.border_lost,
    ),
    Hypothesis("shifted", "{array} is shifted by {detail}: a padding or index is off.", gradient.shifted),
    Hypothesis("option", "{array} is what it would be with {detail}.", call.option),
    Hypothesis(
        "rounded",
        "{array} is right to the digits of float32 only: it was computed, or kept, in float32.",
        gradient.rounded,
    ),
    Hypothesis(
        "left out", "{array} is right, except for elements that stay zero and should not.", gradient.left_out
    ),
)
