"""What may import what, and on which Pythons target code runs."""

from __future__ import annotations

import ast
import fnmatch
import functools
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
TARGET = sorted(
    [ROOT / "shepherd/__init__.py"]  # the runtime says the version, too
    + [path for area in ("modules", "shepherd/remote", "shepherd/runtime") for path in (ROOT / area).rglob("*.py")]
)
CONTROLLER = sorted(path for path in (ROOT / "shepherd").rglob("*.py") if path not in TARGET)

# package of the controller → what it must not import, and why a reader should care
FORBIDDEN = {
    "engine": ("paramiko",),  # talks to links, whatever carries them
    "transport": ("shepherd.playbook", "shepherd.engine", "shepherd.inventory", "shepherd.templating"),  # carries bytes
    "report": tuple(
        f"shepherd.{name}" for name in ("engine", "playbook", "inventory", "transport", "templating", "link", "actions")
    ),  # reads events, so that a recorded run can be reported too
    "playbook": ("paramiko", "shepherd.transport", "shepherd.engine", "shepherd.report"),
    "inventory": ("paramiko", "shepherd.transport", "shepherd.engine", "shepherd.report"),
    "templating": ("paramiko", "shepherd.transport", "shepherd.engine", "shepherd.report"),
}
# The controller itself runs no target code. Of the container runtime, which the lab runs on this machine, two actions
# use what packs it into a file, and what reads and keeps images.
TARGET_FOR_CONTROLLER = {"shepherd.remote": {"shepherd.remote.wire"}, "shepherd.modules": {"shepherd.modules"}}


def test_the_contracts_look_at_something():
    assert len(TARGET) > 5 and len(CONTROLLER) > 10


def test_every_file_of_tests_is_found(request):
    """pytest does not look into folders of some names."""
    names = {part for path in (ROOT / "tests").rglob("test_*.py") for part in path.relative_to(ROOT).parts[:-1]}
    for pattern in request.config.getini("norecursedirs"):
        assert not fnmatch.filter(names, pattern), pattern


def shown(path: Path) -> str:
    return str(path.relative_to(ROOT))


@functools.cache
def imports(path: Path) -> tuple[str, ...]:
    """Every name that a file imports, as `package.module` or `package.module.name`; type checking does not count."""
    tree = ast.parse(path.read_bytes())
    skipped = {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        for statement in node.body
        for inner in ast.walk(statement)
    }
    found: list[str] = []
    for node in ast.walk(tree):
        if node in skipped:
            continue
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{shown(path)}: say the whole name of what is imported"
            found += [f"{node.module}.{alias.name}" for alias in node.names]
    return tuple(found)


def under(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("path", TARGET, ids=shown)
def test_target_code_imports_the_standard_library_and_target_code(path):
    """What may be missing may be tried inside a function: bindings of the distribution (apt, dnf, selinux), and what
    the standard library has only since Python 3.14 (compression)."""
    tree = ast.parse(path.read_bytes())
    lazy = {
        alias.name if isinstance(node, ast.Import) else node.module
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
    }
    optional = {"apt", "apt_pkg", "dnf", "rpm", "selinux", "libdnf5", "hawkey", "compression"}
    of_versions = {"_sha256", "_sha2"}  # the standard library's until and since Python 3.12: whichever there is
    allowed = sys.stdlib_module_names | of_versions | (optional & {name.split(".")[0] for name in lazy}) | {"shepherd"}
    for name in imports(path):
        assert name.split(".")[0] in allowed, f"{shown(path)} imports {name}"
        if under(name, "shepherd"):
            assert name == "shepherd" or name.split(".")[1] in ("remote", "runtime", "modules"), (
                f"{shown(path)} imports {name}"
            )


@pytest.mark.parametrize("path", TARGET, ids=shown)
def test_target_code_has_the_syntax_of_python_3_6(path):
    text = path.read_text()
    ast.parse(text, feature_version=(3, 6))
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.ImportFrom) and node.module == "__future__":
            assert {alias.name for alias in node.names} <= {"print_function", "division"}, shown(path)


def pythons() -> list[str]:
    """The oldest and the newest Python 3 on this machine that targets may have, and this one."""
    found: dict[tuple[int, ...], str] = {}
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    for python in [*pyenv.glob("versions/3.*/bin/python"), *Path("/root/.pyenv").glob("versions/3.*/bin/python")]:
        found[tuple(int(part) for part in python.parts[-3].split(".")[:2])] = str(python)
    found = {version: python for version, python in found.items() if version >= (3, 6)}
    found[sys.version_info[:2]] = sys.executable
    return [found[version] for version in dict.fromkeys((min(found), max(found)))]


@pytest.mark.parametrize("python", pythons())
def test_target_code_compiles_and_imports(python, tmp_path):
    """Really run by the oldest and the newest Python here, without anything installed and without the controller."""
    (tmp_path / "shepherd").mkdir()
    for name, place in {"remote": "shepherd/remote", "runtime": "shepherd/runtime", "modules": "modules"}.items():
        (tmp_path / "shepherd" / name).symlink_to(ROOT / place)
    names = []
    for path in TARGET:
        parts = list(path.relative_to(ROOT).with_suffix("").parts)
        if parts[0] == "modules":
            parts.insert(0, "shepherd")
        if parts[-1] in ("__main__", "boot"):  # they run when imported, or only make sense at the start of a helper
            names.append(f"compile:{path}")
        else:
            names.append(".".join(parts[:-1] if parts[-1] == "__init__" else parts))
    program = f"""
import importlib, sys, traceback
sys.path.insert(0, {str(tmp_path)!r})
failed = 0
for name in sys.stdin.read().split("\\n"):
    try:
        if name.startswith("compile:"):
            compile(open(name[8:], "rb").read(), name[8:], "exec")
        else:
            importlib.import_module(name)
    except Exception:
        failed = 1
        traceback.print_exc()
sys.exit(failed)
"""
    done = subprocess.run(
        [python, "-I", "-S", "-B", "-c", program],
        input="\n".join(names).encode(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    assert done.returncode == 0, done.stdout.decode()


@pytest.mark.parametrize("path", CONTROLLER, ids=shown)
def test_the_controller_keeps_its_floors_apart(path):
    area = path.relative_to(ROOT / "shepherd").parts[0]
    for name in imports(path):
        for forbidden in FORBIDDEN.get(area, ()):
            assert not under(name, forbidden), f"{shown(path)} imports {name}"
        for package, allowed in TARGET_FOR_CONTROLLER.items():
            if under(name, package):
                assert any(under(name, known) or name == known for known in allowed), f"{shown(path)} runs {name}"
        if under(name, "shepherd.runtime"):
            assert area == "lab" or path.stem in ("_runtime", "_images"), f"{shown(path)} imports {name}"


def test_the_packages_that_are_installed_are_all_there():
    """`packages` in pyproject.toml is written by hand: a forgotten one is missing from a wheel only."""
    listed = set(tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["packages"])
    found = {".".join(path.parent.relative_to(ROOT).parts) for path in (ROOT / "shepherd").rglob("__init__.py")} | {
        "shepherd.modules"
    }
    assert listed == found
