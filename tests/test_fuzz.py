"""Whatever a public function is handed: a result without NaN, or one error that begins with an argument's name."""

import inspect
import re
import warnings
from itertools import islice

import numpy as np
import pytest
from examples import public, valid_call
from hostile import contains_nan, defaults, instead_of
from trusted import MAY_BE_ZERO, ON_DISK, TRUSTED

from ebm_np.foundations.results import ConvergenceWarning

FUNCTIONS = dict(public())
CALLED = {name: function for name, function in FUNCTIONS.items() if name not in TRUSTED}
ALSO_NAMED = {"latent.horn.fit": {"x", "y"}, "foundations.validation.sample_weights": {"weights"}}
"""What errors may speak of beside the arguments: data = (x, y), and a door for arguments of one name."""
TELLS_BY_NAN = {"physics.mean_field.memory_energy"}
"""Beyond the capacity there is no such state."""

every_function = pytest.mark.parametrize("name", CALLED)


def outcome(function, arguments):
    """Return what the call returns, the first items if it is an iterator, or the error that it raises."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            result = function(**arguments)
            return list(islice(result, 3)) if inspect.isgenerator(result) else result
    except Exception as error:
        return error


def is_worded(error, names):
    """Say whether the error is one that doors raise: "name: expected this, got that", or that training diverged."""
    if isinstance(error, FloatingPointError) and "diverged" in str(error):
        return True
    subject, _, complaint = str(error).partition(":")
    named = any(re.search(rf"\b{re.escape(name)}\b", subject) for name in names)
    return isinstance(error, TypeError | ValueError | FloatingPointError) and named and bool(complaint)


@pytest.mark.parametrize("name", sorted(FUNCTIONS.keys() - ON_DISK))
def test_a_valid_call_is_answered(name):
    """A function that is new has to be given arguments in `examples`; read-only ones, that it may not write to."""
    result = outcome(FUNCTIONS[name], valid_call(name, FUNCTIONS[name]))
    assert not isinstance(result, Exception), result
    assert not contains_nan(result)


@every_function
def test_a_hostile_argument_is_refused_by_name_or_does_no_harm(name):
    function, arguments = CALLED[name], defaults(CALLED[name]) | valid_call(name, CALLED[name])
    names = {*inspect.signature(function).parameters, *arguments, *ALSO_NAMED.get(name, ())}
    faults = []
    for argument in arguments:
        if f"{name}.{argument}" in TRUSTED:
            continue
        for kind, bad in instead_of(arguments[argument]):
            result = outcome(function, valid_call(name, function) | {argument: bad})
            if isinstance(result, Exception):
                if not is_worded(result, names):
                    faults.append((argument, kind, repr(result)))
            elif contains_nan(result) and not contains_nan(bad) and name not in TELLS_BY_NAN:
                faults.append((argument, kind, "NaN"))
    assert not faults, "\n".join(map(str, faults))


def test_only_what_exists_is_trusted():
    functions = {entry for entry in TRUSTED if entry in FUNCTIONS}
    for entry in TRUSTED - functions:
        function, _, argument = entry.rpartition(".")
        assert argument in inspect.signature(FUNCTIONS[function]).parameters, entry


def flags():
    """Yield every argument that is True or False."""
    for name, function in CALLED.items():
        for argument, value in defaults(function).items():
            if isinstance(value, bool) and f"{name}.{argument}" not in TRUSTED:
                yield name, argument


@pytest.mark.parametrize(("name", "argument"), list(flags()))
@pytest.mark.parametrize("bad", ["no", 0, 1.0, None])
def test_a_flag_is_true_or_false_and_nothing_that_counts_as_one(name, argument, bad):
    result = outcome(CALLED[name], valid_call(name, CALLED[name]) | {argument: bad})
    assert isinstance(result, TypeError), result
    assert str(result).startswith(f"{argument}: expected True or False"), result


MAY_BE_NEGATIVE = {"latent.free_energy.axis"}


def hyper_parameters():
    """Yield every argument that is one number, with what has to be refused in its place."""
    for name, function in CALLED.items():
        for argument, value in (defaults(function) | valid_call(name, function)).items():
            if f"{name}.{argument}" in TRUSTED or isinstance(value, bool) or not isinstance(value, int | float):
                continue
            kinds = [np.nan, 1j, True, "1", None]
            place = f"{name.rpartition('.')[0]}.{argument}"
            kinds += [] if place in MAY_BE_NEGATIVE else [-1, -1.0]
            kinds += [] if place in MAY_BE_ZERO else [0, 0.0]
            kinds += [1.5, np.inf] if isinstance(value, int) else []
            optional = "None" in str(function.__annotations__.get(argument))
            yield name, argument, [bad for bad in kinds if not (bad is None and optional)]


@pytest.mark.parametrize(
    ("name", "argument", "kinds"), [pytest.param(*row, id=".".join(row[:2])) for row in hyper_parameters()]
)
def test_a_bad_hyper_parameter_is_refused_by_its_own_name(name, argument, kinds):
    for bad in kinds:
        result = outcome(CALLED[name], valid_call(name, CALLED[name]) | {argument: bad})
        assert isinstance(result, TypeError | ValueError), f"{argument} = {bad!r} was taken"
        assert str(result).startswith(f"{argument}: expected"), result
