"""SELinux contexts. A kernel without SELinux keeps them for root all the same, as extended attributes."""

import os

import pytest

from shepherd.remote import attributes, selinux
from shepherd.remote.task import Failure, Task


@pytest.fixture
def labelled(scratch, monkeypatch):
    path = str(scratch / "f")
    (scratch / "f").write_text("x")
    try:
        os.setxattr(path, selinux.ATTRIBUTE, b"system_u:object_r:etc_t:s0\0")
    except OSError:
        pytest.skip("needs root and a file system that keeps security labels")
    monkeypatch.setattr(attributes, "SELINUX", "/")
    monkeypatch.setattr(selinux, "enabled", lambda: True)
    return path


def apply(path, check=False, **options):
    diff = {}
    task = Task({**dict.fromkeys(attributes.OPTIONS), **options}, check=check)
    return attributes.apply(task, path, attributes.wanted(task), diff), diff


def test_parts_of_a_context(labelled):
    assert attributes.info(labelled)["secontext"] == "system_u:object_r:etc_t:s0"
    assert apply(labelled, setype="etc_t") == (False, {})
    changed, diff = apply(labelled, check=True, setype="httpd_t")
    assert changed and diff["after"]["secontext"] == ["system_u", "object_r", "httpd_t", "s0"]
    assert attributes.info(labelled)["secontext"] == "system_u:object_r:etc_t:s0"
    assert apply(labelled, seuser="user_u", serole="r", setype="httpd_t", selevel="s0:c1,c2")[0]
    assert attributes.info(labelled)["secontext"] == "user_u:r:httpd_t:s0:c1,c2"


def test_a_policy_without_levels_keeps_none(labelled):
    os.setxattr(labelled, selinux.ATTRIBUTE, b"system_u:object_r:etc_t\0")
    assert apply(labelled, selevel="s0") == (False, {})
    assert apply(labelled, setype="httpd_t", selevel="s0")[0]
    assert attributes.info(labelled)["secontext"] == "system_u:object_r:httpd_t"


def test_the_policy_decides_what_is_default(labelled, monkeypatch):
    monkeypatch.setattr(selinux, "default", lambda path: ["system_u", "object_r", "shadow_t", "s0"])
    assert apply(labelled, setype="_default")[0]
    assert attributes.info(labelled)["secontext"] == "system_u:object_r:shadow_t:s0"
    assert not apply(labelled, setype="_default")[0]
    os.setxattr(labelled, selinux.ATTRIBUTE, b"user_u:object_r:tmp_t:s0\0")
    selinux.restore(labelled, "/etc/shadow")
    assert attributes.info(labelled)["secontext"] == "system_u:object_r:shadow_t:s0"


def test_a_context_that_cannot_be_set_fails(labelled, monkeypatch):
    def refuse(path, parts):
        raise PermissionError(1, "no")

    monkeypatch.setattr(selinux, "put", refuse)
    with pytest.raises(Failure, match="set selinux context failed"):
        apply(labelled, setype="httpd_t")


def test_without_selinux_the_options_mean_nothing(labelled, monkeypatch):
    monkeypatch.setattr(selinux, "enabled", lambda: False)
    assert apply(labelled, setype="httpd_t") == (False, {})
    assert "secontext" not in attributes.info(labelled)
