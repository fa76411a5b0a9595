import subprocess
import sys
from pathlib import Path

import pytest

from ebm_np.data import mnist, optional
from ebm_np.data.optional import optional as import_optional

MODULES = sorted(path.stem for path in Path(optional.__file__).parent.glob("[a-z]*.py"))
HEAVY = ["PIL", "pooch", "matplotlib", "tqdm", "requests"]


def test_a_module_that_is_there():
    assert import_optional("json", "test") is sys.modules["json"]


@pytest.mark.parametrize(("module", "package"), [("PIL.Image", "Pillow"), ("pooch", "pooch")])
def test_a_missing_module_says_what_to_install(monkeypatch, module, package):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"{package} is needed to see: pip install 'ebm_np\[figures\]'"):
        import_optional(module, "see")


def test_importing_the_loaders_imports_only_numpy_and_scipy():
    root = Path(mnist.__file__).parents[2]
    code = f"import sys; sys.path.insert(0, {str(root)!r})\n" + "".join(f"import ebm_np.data.{m}\n" for m in MODULES)
    code += f"print([name for name in {HEAVY} if name in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"
