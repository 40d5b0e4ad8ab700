"""A callback for ansible-core that notes what happens as the tests compare it: a JSON line for each answer."""

from __future__ import annotations

import json

from ansible.plugins.callback import CallbackBase

DOCUMENTATION = """
name: journal
type: stdout
short_description: one JSON line for each answer
description: For the tests that compare the language.
"""


class CallbackModule(CallbackBase):
    CALLBACK_VERSION = 2.0
    CALLBACK_TYPE = "stdout"
    CALLBACK_NAME = "journal"

    def _note(self, **fields):
        print("JOURNAL " + json.dumps(fields, default=str, sort_keys=True), flush=True)

    def _answer(self, status, result, ignored=False, item=False):
        fields = {"host": result._host.get_name(), "task": result.task_name, "status": status}
        if item:
            fields["item"] = True
        if ignored:
            fields["ignored"] = True
        content = result._result
        if result._task.action in ("debug", "ansible.builtin.debug") and "msg" in content and "results" not in content:
            fields["msg"] = content["msg"]
        if status == "failed" and "msg" in fields:
            del fields["msg"]
        if (
            status == "failed"
            and "undefined" not in str(content.get("msg"))
            and "attribute" not in str(content.get("msg"))
            and result._task.action not in ("include_tasks", "include_role")
        ):
            fields["failed_msg"] = str(content.get("msg", ""))[:60]
        self._note(**fields)

    def v2_runner_on_ok(self, result):
        self._answer("changed" if result._result.get("changed") else "ok", result)

    def v2_runner_on_failed(self, result, ignore_errors=False):
        self._answer("failed", result, ignored=ignore_errors)

    def v2_runner_on_skipped(self, result):
        if result._task.action == "meta":  # said for some of its actions only, and counted for none
            return
        self._answer("skipped", result)

    def v2_runner_on_unreachable(self, result):
        self._answer("unreachable", result)

    def v2_runner_item_on_ok(self, result):
        self._answer("changed" if result._result.get("changed") else "ok", result, item=True)

    def v2_runner_item_on_failed(self, result):
        self._answer("failed", result, item=True)

    def v2_runner_item_on_skipped(self, result):
        self._answer("skipped", result, item=True)

    def v2_playbook_on_play_start(self, play):
        self._note(play=play.get_name())

    def v2_playbook_on_stats(self, stats):
        for host in sorted(stats.processed):
            counts = stats.summarize(host)
            counts["failed"] = counts.pop("failures")
            self._note(recap=host, **counts)
