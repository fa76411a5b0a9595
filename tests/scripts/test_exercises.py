import runpy
import sys

import numpy as np
import pytest

from ebm_np.latent import free_energy, inference
from scripts import exercises


def free_energy_grad(w):
    z = inference.grid(96)
    g, c = np.array([w[0] * np.cos(z), w[1] * np.sin(z)]), np.array([np.cos(z), np.sin(z)])
    residual = exercises.Y[:, None] - g
    p = free_energy.gibbs((residual**2).sum(axis=0), exercises.BETA)
    return -2 * (p * residual * c).sum(axis=1)


def softmin_grad(beta):
    mean = free_energy.gibbs(exercises.ENERGIES, float(beta)) @ exercises.ENERGIES
    return (mean - free_energy.softmin(exercises.ENERGIES, float(beta))) / beta


def tied_grad(W):
    h = W @ exercises.X
    r = exercises.X - W.T @ h
    return -2 * (np.outer(h, r) + np.outer(W @ r, exercises.X))


ANSWERS = [free_energy_grad, softmin_grad, tied_grad]
every_answer = pytest.mark.parametrize("answer", ANSWERS, ids=lambda answer: answer.__name__)


def verdict(name):
    return exercises.verdict(exercises.EXERCISES[name])


def test_there_is_an_answer_to_each_exercise():
    assert [answer.__name__ for answer in ANSWERS] == list(exercises.EXERCISES)


@every_answer
def test_what_is_not_finished_is_said_to_be_to_be_derived(answer):
    assert verdict(answer.__name__) == "to be derived"


@every_answer
def test_the_right_answer_passes(answer, monkeypatch):
    monkeypatch.setattr(exercises, answer.__name__, answer)
    assert verdict(answer.__name__).startswith("gradient check passed")


@every_answer
@pytest.mark.parametrize(
    "spoil", [lambda a: a / 2, lambda a: -a, lambda a: a + 1e-9], ids=["half", "minus", "a little"]
)
def test_a_wrong_answer_fails(answer, spoil, monkeypatch):
    monkeypatch.setattr(exercises, answer.__name__, lambda x: spoil(answer(x)))
    assert verdict(answer.__name__).startswith("gradient check FAILED")


@every_answer
def test_an_answer_of_another_shape_is_told_so(answer, monkeypatch):
    monkeypatch.setattr(exercises, answer.__name__, lambda x: np.zeros(7))
    assert verdict(answer.__name__).startswith("expected the shape of x")


def test_the_file_runs_as_it_is(capsys, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["exercises.py"])
    runpy.run_path(exercises.__file__, run_name="__main__")
    assert capsys.readouterr().out.splitlines() == [f"{name:<18}to be derived" for name in exercises.EXERCISES]
