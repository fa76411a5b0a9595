"""Where data is looked for: the folder that `$EBM_NP_DATA` names."""

import os
from pathlib import Path

VARIABLE = "EBM_NP_DATA"


def data_folder() -> Path | None:
    """Return the folder that `$EBM_NP_DATA` names, or None where the variable is not set or empty.

    Raises
    ------
    FileNotFoundError
        if the variable names no existing folder: a wish that cannot be met is not ignored.
    """
    value = os.environ.get(VARIABLE, "")
    if not value:
        return None
    folder = Path(value).expanduser()
    if not folder.is_dir():
        raise FileNotFoundError(f"${VARIABLE}: expected an existing folder, got {value!r}")
    return folder
