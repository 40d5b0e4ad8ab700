"""Capabilities, given to a process that is then asked what it has."""

import json
import os
import subprocess

import pytest

from shepherd.runtime.errors import RuntimeFailure
from shepherd.runtime.linux import capabilities, syscalls

root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to have any to give")


def in_a_child(act):
    """What `act` returns, as JSON, from a process of its own."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps(act()).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as stream:
        said = stream.read()
    os.waitpid(child, 0)
    return json.loads(said)


def test_names():
    assert capabilities.numbers(["CAP_CHOWN", "CAP_CHECKPOINT_RESTORE"]) == {0, 40}
    assert len(capabilities.DEFAULT) == 14
    with pytest.raises(RuntimeFailure) as raised:
        capabilities.numbers(["CAP_SYS_ADMN"])
    assert (raised.value.message, raised.value.hint) == (
        "there is no capability CAP_SYS_ADMN",
        "did you mean CAP_SYS_ADMIN?",
    )


@root
def test_a_process_has_what_it_was_given_and_nothing_to_inherit():
    def act():
        kept = capabilities.numbers(capabilities.DEFAULT)
        capabilities.drop_bounding(kept)
        syscalls.prctl(8, 1)  # PR_SET_KEEPCAPS
        os.setgroups([])
        os.setresgid(1000, 1000, 1000)
        os.setresuid(1000, 1000, 1000)
        capabilities.apply(kept, kept, set(), kept, set())
        return {name: sorted(numbers) for name, numbers in capabilities.current().items()}

    kept = sorted(capabilities.numbers(capabilities.DEFAULT))
    assert in_a_child(act) == {
        "bounding": kept,
        "effective": kept,
        "permitted": kept,
        "inheritable": [],
        "ambient": [],
    }


@root
def test_ambient_ones_survive_a_program_of_another_user():
    def act():
        one = capabilities.numbers(["CAP_NET_BIND_SERVICE"])
        capabilities.drop_bounding(one)
        syscalls.prctl(8, 1)
        os.setresuid(1000, 1000, 1000)
        capabilities.apply(one, one, one, one, one)
        return subprocess.run(["grep", "CapEff", "/proc/self/status"], capture_output=True, text=True).stdout

    assert int(in_a_child(act).split()[1], 16) == 1 << 10


@root
def test_more_than_it_has_is_refused():
    def act():
        few = capabilities.numbers(["CAP_CHOWN"])
        capabilities.apply(few, few, set(), few, set())
        try:
            capabilities.apply(few, {21}, set(), {21}, set())
        except PermissionError:
            return "refused"
        return "given"

    assert in_a_child(act) == "refused"
