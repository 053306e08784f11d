"""Imports point one way, models -> tinyconv -> kernels, without circles, and underscores stay in their room.

The tables list the exceptions. They can only shrink: an exception that is not in its table fails, and so does
an entry that is no exception any more.
"""

from module_imports import FOLDERS, MODULES, Import, circles, graph, imports, lies_in, private_names

# Modules below the models that import them, and the reason.
IMPORT_MODELS = {
    "cli.bench": "a command offers the models by name",
    "cli.doctor": "a command offers the models by name",
    "cli.given": "the options of all models are options of tinyconv train",
    "cli.gradcheck": "a command offers the models by name",
    "cli.recipes": "it finds the recipe that a run names",
    "cli.run_json": "a run names a model, and its options",
    "cli.settings": "the losses that models have recipes for",
    "cli.summary": "a command offers the models by name",
    "cli.train": "a command offers the models by name",
}
# The same for imports inside a function.
IMPORT_MODELS_LATER = {
    "gradient_cases": "whole networks are cases too, and are built when they are asked for",
}
# Modules below the benchmarks that import them, inside a function.
IMPORT_BENCHMARKS_LATER = {
    "cli.bench": "the command whose measurements they are",
}
# Names with an underscore, and the modules of other rooms that use them. What they need becomes public there.
UNDERSCORES = {
    # benchmarks time the parts of a kernel, and what lies beneath it
    "kernels._arena": {"benchmarks.backends", "benchmarks.gpu.graphs"},
    "kernels._cpu": {
        "benchmarks.backends",
        "benchmarks.ceiling",
        "benchmarks.ladder.images_innermost",
        "benchmarks.machine",
        "benchmarks.timing",
    },
    "kernels._cuda": {
        "benchmarks.cubins",
        "benchmarks.gpu.__main__",
        "benchmarks.gpu.calls",
        "benchmarks.gpu.ceilings",
        "benchmarks.gpu.clock",
        "benchmarks.gpu.graphs",
        "benchmarks.gpu.roofs",
        "benchmarks.gpu.sizes",
        "benchmarks.gpu.sanitized",
        "benchmarks.gpu.worker",
        "benchmarks.ladder.cuda_coalesced",
        "benchmarks.ladder.cuda_factors",
        "benchmarks.ladder.cuda_matrix",
        "benchmarks.ladder.cuda_registers",
        "benchmarks.ladder.cuda_shared",
        "benchmarks.ladder.cuda_tensor_cores",
        "benchmarks.ladder.cuda_textbook",
    },
}


def top(module):
    """Return the folder at the top of the repository in which a module stands."""
    first = module.split(".")[0]
    return first if first in FOLDERS else "tinyconv"


def importers(folder, later):
    """Return the modules outside of `folder` and of the benchmarks that import from it.

    later: inside a function, not at module level.
    """
    outside = [module for module in MODULES if top(module) not in (folder, "benchmarks")]
    return {
        module
        for module in outside
        if any(top(one.target) == folder and one.later == later for one in imports(module))
    }


def crossings():
    """Return {name with an underscore: modules of other rooms that use it}."""
    found = {}
    for module, (package, _) in MODULES.items():
        for name, room in private_names(module):
            if not lies_in(package, room):
                found.setdefault(name, set()).add(module)
    return found


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": {"d"}, "e": set()}) == [{"b", "c"}, {"d"}]


def test_every_import_is_read():
    assert len(MODULES) > 180
    assert Import("kernels.backends", "backend", "backend", False) in imports("layer")
    assert Import("models", "MODELS", "MODELS", True) in imports("gradient_cases")
    subject = Import("gradient_check.subjects", "subject", "as_subject", False)
    assert subject in imports("gradient_check.self_test.scoring")
    assert Import("benchmarks.parity", "", "parity", False) in imports("benchmarks.gpu.checks")


def test_kernels_import_kernels_alone():
    kernels = [module for module in MODULES if top(module) == "kernels"]
    targets = {(module, one.target) for module in kernels for one in imports(module)}
    assert {(module, target) for module, target in targets if top(target) != "kernels"} == set()


def test_models_are_above_tinyconv():
    assert importers("models", later=False) == set(IMPORT_MODELS)
    assert importers("models", later=True) == set(IMPORT_MODELS_LATER)


def test_benchmarks_are_above_all():
    assert not importers("benchmarks", later=False)
    assert importers("benchmarks", later=True) == set(IMPORT_BENCHMARKS_LATER)


def test_the_checker_stands_between_its_rooms():
    """gradient_check.self_test -> gradient_check -> gradient_check.diagnosis."""
    room, named, tested = "gradient_check", "gradient_check.diagnosis", "gradient_check.self_test"
    for module in (module for module in MODULES if lies_in(module, room)):
        targets = {one.target for one in imports(module) if lies_in(one.target, room)}
        if lies_in(module, named):
            assert {target for target in targets if not lies_in(target, named)} == set(), module
        if not lies_in(module, tested):
            assert {target for target in targets if lies_in(target, tested)} == set(), module


def test_no_circles():
    """Nor one that an import inside a function hides."""
    assert circles(graph()) == []


def test_underscores_stay_in_their_room():
    found = crossings()
    new = {name: users - UNDERSCORES.get(name, set()) for name, users in found.items()}
    gone = {name: users - found.get(name, set()) for name, users in UNDERSCORES.items()}
    assert {name: users for name, users in new.items() if users} == {}
    assert {name: users for name, users in gone.items() if users} == {}, "gone: take them out of the table"
