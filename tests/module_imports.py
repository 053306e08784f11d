"""The imports of all modules of the repository, read with ast: nothing is imported to find them.

A name here is short: "kernels.conv2d.cpu" is tinyconv.kernels.conv2d.cpu, and "" is tinyconv itself. Imports
by a string (import_module) are not seen.
"""

import ast
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = {"tinyconv": (), "kernels": ("kernels",), "models": ("models",), "benchmarks": ("benchmarks",)}


def read_modules():
    """Return {name: (package, syntax tree)} of every module; its relative imports start from the package."""
    found = {}
    for folder, prefix in FOLDERS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = (*prefix, *path.relative_to(ROOT / folder).with_suffix("").parts)
            package = parts[:-1]
            name = ".".join(package if parts[-1] == "__init__" else parts)
            found[name] = ".".join(package), ast.parse(path.read_text(encoding="utf-8"))
    return found


MODULES = read_modules()


@dataclass(frozen=True)
class Import:
    """One name that a module imports from this repository."""

    # the module that is imported, or out of which `name` is
    target: str
    # "" where the module itself is imported
    name: str
    # the name that it has from then on
    alias: str
    # inside a function, so not when the module is loaded
    later: bool


def imports(module):
    """Yield each Import of a module. Those for type checkers alone are none."""
    package, tree = MODULES[module]

    def visit(node, later):
        for child in ast.iter_child_nodes(node):
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                continue
            if isinstance(child, ast.Import):
                for alias in child.names:
                    if alias.name.startswith("tinyconv."):
                        target = alias.name.removeprefix("tinyconv.")
                        yield Import(target, "", alias.asname or "", later)
            if isinstance(child, ast.ImportFrom) and (base := home(child, package)) is not None:
                for alias in child.names:
                    whole = f"{base}.{alias.name}".strip(".")
                    target, name = (whole, "") if whole in MODULES else (base, alias.name)
                    yield Import(target, name, alias.asname or alias.name, later)
            is_function = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            yield from visit(child, later or is_function)

    yield from visit(tree, False)


def home(node, package):
    """Return the short name of the module behind `from`; None where it is not of this repository."""
    if node.level == 0:
        module = f"{node.module}."
        return module.removeprefix("tinyconv.").rstrip(".") if module.startswith("tinyconv.") else None
    parts = package.split(".") if package else []
    above = parts[: len(parts) - (node.level - 1)]
    return ".".join([*above, *filter(None, [node.module])])


def graph():
    """Return {module: modules that it imports, inside functions too}."""
    return {module: {one.target for one in imports(module)} & MODULES.keys() for module in MODULES}


def circles(edges):
    """Return the largest sets of nodes, each of which reaches every other and itself."""
    reached = {}
    for start in edges:
        reached[start], open_ends = set(), [start]
        while open_ends:
            new = edges[open_ends.pop()] - reached[start]
            reached[start] |= new
            open_ends += new
    found = []
    for node in edges:
        circle = {other for other in reached[node] if node in reached[other]}
        if circle and circle not in found:
            found.append(circle)
    return found


def private_names(module):
    """Yield (name, room) of each name with an underscore that a module imports, or reads off an import."""
    of_alias = {}
    for one in imports(module):
        parts = one.target.split(".")
        private = [place for place, part in enumerate(parts) if is_private(part)]
        if private:
            yield ".".join(parts[: private[0] + 1]), ".".join(parts[: private[0]])
        elif is_private(one.name):
            yield f"{one.target}.{one.name}", MODULES[one.target][0]
        elif not one.name:
            of_alias[one.alias] = one.target
    for node in ast.walk(MODULES[module][1]):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and is_private(node.attr):
            target = of_alias.get(node.value.id)
            if target is not None:
                yield f"{target}.{node.attr}", MODULES[target][0]


def is_private(name):
    return name.startswith("_") and not name.endswith("__")


def lies_in(package, room):
    """Return whether `package` is the room, or below it. The files of tinyconv, "", are a room alone."""
    return package == room or bool(room) and package.startswith(f"{room}.")
