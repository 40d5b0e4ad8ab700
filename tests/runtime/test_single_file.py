"""The runtime as one file, and what it installs."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from shepherd.runtime import single_file

ROOT = Path(__file__).resolve().parents[2]
PYENV = Path("~/.pyenv/versions").expanduser()
PYTHONS = [
    sys.executable,
    *(str(path) for version in ("3.6", "3.13") for path in sorted(PYENV.glob(f"{version}.*/bin/python"))[:1]),
]


def run(*argv, **more):
    return subprocess.run(argv, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL, **more)


@pytest.fixture(scope="module")
def packed(tmp_path_factory):
    path = tmp_path_factory.mktemp("packed") / "shepherd-runtime.pyz"
    done = run(sys.executable, "-m", "shepherd.runtime", "pack", str(path), cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return path


def test_the_same_sources_make_the_same_file(packed, tmp_path):
    again = tmp_path / "again"
    assert run(sys.executable, str(packed), "pack", str(again)).returncode == 0
    assert again.read_bytes() == packed.read_bytes()
    assert os.access(packed, os.X_OK)


@pytest.mark.parametrize("python", PYTHONS)
def test_it_runs_and_installs_itself(packed, tmp_path, python):
    direct = run(python, "-IS", str(packed), "features")
    assert direct.returncode == 0, direct.stderr
    done = run(python, "-IS", str(packed), "install", "--prefix", str(tmp_path))
    assert done.returncode == 0, done.stderr
    command = tmp_path / "bin/shepherd-runtime"
    assert run(str(command), "features").stdout == direct.stdout
    place = Path(done.stdout.strip())
    assert command.resolve() == place / "shepherd-runtime"
    assert place.stat().st_mode & 0o777 == 0o755
    # nothing is compiled at a start, and nothing looked for: the bytecode of all modules is in one file
    looked = run(python, "-IS", "-v", str(command), "features").stderr
    assert "import 'shepherd.runtime.cli' # <together.Together" in looked and "wrote" not in looked
    assert f"{place}/shepherd" not in looked.replace(f"code object from '{place}", "")
    # a machine that has another Python now takes the sources
    (place / "bytecode").write_bytes(b"none" + (place / "bytecode").read_bytes()[4:])
    assert run(str(command), "features").stdout == direct.stdout
    (place / "bytecode").unlink()
    assert run(str(command), "features").stdout == direct.stdout


def test_no_file_in_a_container_is_taken_for_the_bytecode(packed, tmp_path):
    """Inside, the path of the installed runtime leads to what the image has there."""
    place = single_file.install(str(tmp_path))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import together\n"
        "sys.meta_path.insert(0, together.Together(sys.argv[1]))\n"
        "from shepherd.runtime.bundle import stage\n"
        "stage._forget_modules()\n"
        "import shepherd.runtime.bundle.create\n"
    )
    done = run(sys.executable, "-IS", "-c", program, place)
    assert "No module named 'shepherd.runtime.bundle.create'" in done.stderr


def test_what_makes_containers_is_read_at_once(packed, tmp_path):
    place = single_file.install(str(tmp_path))
    program = (
        "import sys; sys.path.insert(0, sys.argv[1]); import together\n"
        "finder = together.Together(sys.argv[1]); sys.meta_path.insert(0, finder)\n"
        "import shepherd.runtime.linux.paths\n"
        "read = []\n"
        "load = finder._load\n"
        "finder._load = lambda *place: read.append(place) or load(*place)\n"
        "import shepherd.runtime.bundle.create, shepherd.runtime.bundle.stage\n"
        "print(len(read), finder._codes)\n"
    )
    done = run(sys.executable, "-IS", "-c", program, place)
    assert done.stdout == "2 {}\n", done.stderr  # its package, and the rest


def test_another_version_leaves_the_one_that_runs(packed, tmp_path, monkeypatch):
    files = single_file.sources()
    first = single_file.install(str(tmp_path))
    monkeypatch.setattr(single_file, "sources", lambda: {**files, "shepherd/runtime/more.py": b"# new\n"})
    second = single_file.install(str(tmp_path))
    assert second != first and os.path.exists(first)
    assert Path(tmp_path, "bin/shepherd-runtime").resolve().parent == Path(second)
    assert single_file.install(str(tmp_path)) == second


def test_what_cannot_be_installed_leaves_nothing(tmp_path, monkeypatch):
    write = single_file.write

    def full(path, data, mode=0o755):
        if path.endswith("errors.py"):
            raise OSError(28, "No space left on device", path)
        write(path, data, mode)

    monkeypatch.setattr(single_file, "write", full)
    with pytest.raises(OSError, match="No space"):
        single_file.install(str(tmp_path))
    assert os.listdir(tmp_path / "lib/shepherd") == [] and os.listdir(tmp_path / "bin") == []


def test_a_wrong_word_is_an_error_and_no_traceback(packed, tmp_path):
    for words in (["install", "--perfix"], ["pack"], ["pack", str(tmp_path / "no/such/folder")]):
        done = run(sys.executable, str(packed), *words)
        assert done.returncode == 1
        assert done.stderr.startswith("shepherd-runtime: ") and "Traceback" not in done.stderr
