"""Checkpoints of format 1: the header held each layer's repr, and the optimizer was always SGD."""

import ast
import re

FORMAT = "tinyconv checkpoint, format 1"


def upgraded(header, arrays):
    """(header, arrays) as in version 2. Raises KeyError, TypeError or ValueError for a damaged header."""
    velocity = any(name.startswith("velocity/") for name in arrays)
    # a network that was saved alone has no velocity; it had 0 steps, as a run has before its first
    optimizer = {"class": "SGD", "slots": ["velocity"], "steps": header["steps"]} if velocity else None
    arrays = {re.sub("^velocity/", "slots/velocity/", name): value for name, value in arrays.items()}
    layers = [[name, *_parsed(text)] for name, text in header["layers"]]
    return {"layers": layers, "optimizer": optimizer, "progress": header["progress"], "flat": True}, arrays


def _parsed(text):
    """(class name, settings) of a repr such as "MaxPool2d(size=(2, 2))"; (text, None) of any other."""
    if place := re.fullmatch(r"<(?:.*\.)?(\w+) object at 0x[0-9a-fA-F]+>", text):
        return place[1], {}
    try:
        call = ast.parse(text, mode="eval").body
        if not (isinstance(call, ast.Call) and isinstance(call.func, ast.Name)) or call.args:
            return text, None
        return call.func.id, {option.arg: ast.literal_eval(option.value) for option in call.keywords}
    except (SyntaxError, ValueError):
        return text, None
