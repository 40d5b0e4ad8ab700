"""What is installed: every package, the modules as shepherd.modules, nothing else; as a wheel and editable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).parents[2]
NEEDED = ("shepherd", "modules", "pyproject.toml", "README.md", "LICENSE")
pytestmark = pytest.mark.xdist_group("packaging")  # one worker makes what all of it needs
PLAYBOOK = """
- hosts: localhost
  connection: local
  gather_facts: false
  tasks:
    - copy: {dest: "{{ folder }}/made", content: "by an installed shepherd\\n"}
"""


def packages() -> set[str]:
    """The folders with Python files, by their import names."""
    found = {"shepherd.modules"}
    for path in (CHECKOUT / "shepherd").rglob("*.py"):
        found.add(".".join(path.parent.relative_to(CHECKOUT).parts))
    return found


def run(*command: str | Path, **options: object) -> str:
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        env=environment,
        **options,  # type: ignore[call-overload]
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the checkout, since building writes into it."""
    folder = tmp_path_factory.mktemp("source")
    for name in NEEDED:
        if (CHECKOUT / name).is_dir():
            shutil.copytree(CHECKOUT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(CHECKOUT / name, folder / name)
    return folder


@pytest.fixture(scope="module")
def wheel(source: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, source)
    (built,) = folder.glob("shepherd_push-*.whl")
    return built


def test_the_list_of_packages_is_whole() -> None:
    project = tomllib.loads((CHECKOUT / "pyproject.toml").read_text())
    assert set(project["tool"]["setuptools"]["packages"]) == packages()


@pytest.mark.slow
def test_a_wheel_holds_the_code_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
    expected = {f"shepherd/modules/{path.name}" for path in (CHECKOUT / "modules").glob("*.py")}
    ours = (path for path in (CHECKOUT / "shepherd").rglob("*") if path.is_file() and "__pycache__" not in path.parts)
    assert names == expected | {str(path.relative_to(CHECKOUT)) for path in ours}


@pytest.mark.slow
@pytest.mark.parametrize("how", ["wheel", "editable"])
def test_it_works_in_a_new_environment(how: str, source: Path, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    new = tmp_path / "venv"
    venv.create(new, symlinks=True)
    python = new / "bin/python"
    # what Shepherd needs is here already; as a plain path it does not bring along our own editable installation
    (site_packages,) = new.glob("lib/python*/site-packages")
    (site_packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    what = [request.getfixturevalue("wheel")] if how == "wheel" else ["--editable", source]
    run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", *what)

    shepherd = new / "bin/shepherd"
    where = run(python, "-c", "import shepherd.modules.ping as m; print(m.__file__)", cwd="/").strip()
    assert Path(where).is_relative_to(new if how == "wheel" else source), where
    listed = {line.split()[0] for line in run(shepherd, "doc", cwd=tmp_path).splitlines()}
    assert listed >= {path.stem for path in (CHECKOUT / "modules").glob("[!_]*.py")}
    playbook = tmp_path / "play.yml"
    playbook.write_text(PLAYBOOK)
    run(shepherd, "play", "--syntax-check", playbook, cwd=tmp_path)
    run(shepherd, "play", playbook, "-e", f"folder={tmp_path}", cwd=tmp_path)
    assert (tmp_path / "made").read_text() == "by an installed shepherd\n"
