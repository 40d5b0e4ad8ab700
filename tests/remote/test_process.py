"""Commands that modules run, in the moments that are easily missed."""

import os

from shepherd.remote import process


def test_what_a_command_writes_just_before_its_end_is_not_lost(monkeypatch):
    """It is silent, then writes and ends between the look at its pipes and the look whether it has ended."""
    looks = []
    waitpid = os.waitpid

    def late(pid, options):
        if options == os.WNOHANG and not looks:
            looks.append(pid)
            os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)  # until it has ended, and written all it will
        return waitpid(pid, options)

    monkeypatch.setattr(process.os, "waitpid", late)
    silent = f"sleep {process.SILENCE * 3}; echo out; echo err >&2"
    finished = process.run(["sh", "-c", silent])
    assert looks
    assert (finished.status, finished.stdout, finished.stderr) == (0, "out\n", "err\n")


def test_what_is_left_running_is_not_waited_for():
    finished = process.run(["sh", "-c", "sleep 300 & echo $!"])
    os.kill(int(finished.stdout), 9)
    assert finished.status == 0
