"""apt-get(8) and apt-cache(8) for the module `apt`: their options, locks, messages."""

import os
import re
import time
from contextlib import contextmanager

from shepherd.remote import programs

LISTS = "/var/lib/apt/lists"
STAMP = "/var/lib/apt/periodic/update-success-stamp"
POLICY = "/usr/sbin/policy-rc.d"
SUMMARY = re.compile(r"^\d+ (?:packages )?upgraded, \d+ (?:newly|to) ", re.MULTILINE)
NOTHING = re.compile(r"^0 (?:packages )?upgraded, 0 newly installed, (?:0 reinstalled, )?0 to remove", re.MULTILINE)
UNKNOWN = re.compile(r"Unable to locate package (\S+)|Package '([^']+)' has no installation candidate")


class Apt:
    """apt-get with the options of a task. `result` gathers what every answer of the task says."""

    def __init__(self, task):
        self.task = task
        self.args = task.args
        self.result = {"changed": False}
        self._environment = {
            "DEBIAN_FRONTEND": "noninteractive",
            "DEBIAN_PRIORITY": "critical",
            "LC_ALL": "C",
            "LANGUAGE": None,
        }

    # Running it

    def _run(self, argv):
        """Run a program of apt, again and again as long as somebody else holds the lock and there is time.

        apt can wait itself, but only newer ones do, not for all their locks, and then they do not say who holds it.
        """
        from shepherd.remote import process

        argv = [programs.need(self.task, argv[0])] + argv[1:]
        deadline = time.monotonic() + self.args["lock_timeout"]
        while True:
            finished = process.run(argv, environment=self._environment)
            if not _locked(finished) or time.monotonic() >= deadline:
                return finished
            time.sleep(1)

    def change(self, verb, names=(), options=(), program="apt-get"):
        """Let apt change packages, or say what it would. Fills in the result; the task fails when apt does."""
        args = self.args
        argv = [program, "-y", "-o", "Dpkg::Use-Pty=0"]
        for option in (args["dpkg_options"] or "").split(","):
            if option:
                argv += ["-o", "Dpkg::Options::=--" + option]
        argv += ["--simulate"] if self.task.check else []
        argv += options
        argv += ["--allow-unauthenticated"] if args["allow_unauthenticated"] or args["force"] else []
        argv += ["--allow-downgrades"] if args["allow_downgrade"] or args["force"] else []
        argv += ["--allow-change-held-packages"] if args["allow_change_held_packages"] or args["force"] else []
        argv += ["--allow-remove-essential"] if args["force"] else []
        argv += ["-t", args["default_release"]] if args["default_release"] else []
        argv.append(verb)
        argv += (["--"] + list(names)) if names else []
        with _policy(self.task):
            finished = self._run(argv)
        self.result.update(stdout=finished.stdout, stderr=finished.stderr)
        if finished.status != 0:
            self.task.fail(_complaint(argv, finished), rc=finished.status, **self.result)
        self.result["changed"] = not NOTHING.search(finished.stdout)
        if self.task.diff:
            self.result["diff"] = {"prepared": prepared(finished.stdout)}
        return finished

    def clean(self):
        """Throw away the packages that were fetched."""
        if not self.task.check:
            finished = self._run(["apt-get", "clean"])
            if finished.status != 0:
                self.task.fail("Could not clean: %s" % finished.stderr, rc=finished.status)

    def mark_manual(self, names):
        """Let apt know that these are wanted, and not only by other packages."""
        if names and not self.task.check:
            self._run(["apt-mark", "manual", "--"] + list(names))

    # The lists of what there is

    def update(self):
        """Fetch them, unless they are young enough. True when they were."""
        args = self.args
        self.result.update(cache_updated=False, cache_update_time=updated_at())
        age = time.time() - updated_at()
        if not args["update_cache"] and not args["cache_valid_time"]:
            return False
        if args["cache_valid_time"] and age < args["cache_valid_time"]:
            return False
        if not self.task.check:
            self._fetch_lists()
        self.result.update(cache_updated=True, cache_update_time=updated_at())
        return True

    def _fetch_lists(self):
        import random

        retries = max(1, self.args["update_cache_retries"])
        longest = self.args["update_cache_retry_max_delay"]
        jitter = random.uniform(0, 1)
        for attempt in range(retries):
            # apt takes a list that it could not get for a mere warning
            finished = self._run(["apt-get", "-o", "APT::Update::Error-Mode=any", "update"])
            said = finished.stderr + finished.stdout
            if finished.status == 0 and not re.search(r"^[WE]: .*[Ff]ailed to ", said, re.MULTILINE):
                os.utime(LISTS)  # nothing new is news, too
                return
            if _locked(finished):
                message = "Failed to lock apt for exclusive operation: %s" % finished.stderr.strip()
                self.task.fail(message, rc=finished.status, **self.result)
            lines = (line for line in finished.stderr.split("\n") if line.startswith(("E:", "W:")))
            errors = ", ".join(lines) or "unknown reason"
            self.task.warn("Failed to update cache after %d retries due to %s" % (attempt + 1, errors))
            if attempt + 1 < retries:
                time.sleep(min(2**attempt, longest) + jitter)
        self.task.fail("Failed to update apt cache after %d retries: %s" % (retries, errors), **self.result)

    def policy(self, names):
        """{name: (candidate version or None, [versions, the best first])} of the packages that apt knows."""
        if not names:
            return {}
        argv = ["apt-cache"]
        if self.args["default_release"]:
            argv += ["-o", "APT::Default-Release=" + self.args["default_release"]]
        finished = self._run(argv + ["policy", "--"] + list(names))
        if finished.status != 0:
            self.task.fail(finished.stderr.strip(), rc=finished.status, **self.result)
        found = {}
        for line in finished.stdout.split("\n"):
            if line and line[0] != " ":
                name = line.rstrip(":")
                found[name] = (None, [])
            elif line.startswith("  Candidate: "):
                candidate = line.partition(": ")[2]
                found[name] = (None if candidate == "(none)" else candidate, [])
            elif line.startswith((" *** ", "     ")) and line[5] != " ":
                found[name][1].append(line[5:].split()[0])
        # a name with the native architecture after a colon is answered without it
        for asked in names:
            if asked not in found and asked.partition(":")[0] in found:
                found[asked] = found[asked.partition(":")[0]]
        return found

    def known_names(self):
        """The names of all packages that apt knows."""
        return self._run(["apt-cache", "pkgnames"]).stdout.split("\n")


def _locked(finished):
    return finished.status != 0 and "Could not get lock" in finished.stderr


def updated_at():
    """When the lists were last fetched, in whole seconds since 1970; 0: never."""
    times = [0]
    for path in (STAMP, LISTS):
        try:
            times.append(int(os.stat(path).st_mtime))
        except OSError:
            pass
    return max(times)


def prepared(text):
    """What apt-get says it will do: the lines between those about reading and its summary, which is the last."""
    found = SUMMARY.search(text)
    end = text.find("\n", found.start()) if found else len(text)
    start = text.find("Reading state information...\n")
    start = 0 if start < 0 else start + len("Reading state information...\n")
    return text[start : end if end >= 0 else len(text)].strip()


def _complaint(argv, finished):
    found = UNKNOWN.search(finished.stderr)
    if found and "is a virtual package provided by" not in finished.stdout:
        return "No package matching '%s' is available" % (found.group(1) or found.group(2))
    import shlex

    return "'%s' failed: %s" % (" ".join(shlex.quote(word) for word in argv), finished.stderr)


@contextmanager
def _policy(task):
    """While packages are installed, let invoke-rc.d(8) ask a policy-rc.d that answers with the task's number."""
    if task.args["policy_rc_d"] is None or task.check:
        yield
        return
    kept = "%s.shepherd-%d" % (POLICY, os.getpid())
    had = os.path.lexists(POLICY)
    if had:
        os.rename(POLICY, kept)
    try:
        with open(POLICY, "w") as stream:
            stream.write("#!/bin/sh\nexit %d\n" % task.args["policy_rc_d"])
        os.chmod(POLICY, 0o755)
        yield
    finally:
        if had:
            os.rename(kept, POLICY)
        elif os.path.lexists(POLICY):
            os.unlink(POLICY)
