from pathlib import Path

import pytest

from ebm_np.data.locations import data_folder


def test_no_folder_unless_the_variable_is_set(monkeypatch):
    monkeypatch.delenv("EBM_NP_DATA", raising=False)
    assert data_folder() is None
    monkeypatch.setenv("EBM_NP_DATA", "")
    assert data_folder() is None


def test_the_folder_that_the_variable_names(monkeypatch, tmp_path):
    monkeypatch.setenv("EBM_NP_DATA", str(tmp_path))
    assert data_folder() == tmp_path
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    monkeypatch.setenv("EBM_NP_DATA", "~")
    assert data_folder() == tmp_path


@pytest.mark.parametrize("name", ["missing", "file"])
def test_what_is_no_folder_is_refused(monkeypatch, tmp_path, name):
    Path(tmp_path, "file").touch()
    monkeypatch.setenv("EBM_NP_DATA", str(tmp_path / name))
    with pytest.raises(FileNotFoundError, match=rf"\$EBM_NP_DATA: .*{name}"):
        data_folder()
