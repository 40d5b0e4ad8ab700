"""Questions to the person at the terminal: vars_prompt."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from shepherd.engine import asking
from shepherd.errors import ShepherdError
from shepherd.report.events import Message

if TYPE_CHECKING:
    from shepherd.engine.run import Run
    from shepherd.playbook.model import Play
    from shepherd.report.events import Emit


async def ask(play: Play, run: Run) -> dict[str, Any]:
    """The answers to the play's vars_prompt by variable; what -e has set is not asked for."""
    answers: dict[str, Any] = {}
    for prompt in play.vars_prompt:
        name = str(prompt["name"])
        if name in run.options.extra_vars:
            continue
        answer = await _one(prompt, run.emit)
        if prompt.get("encrypt") and answer is not None:
            scope = run.variables.play_scope(None, play)
            options = {key: prompt[key] for key in ("salt",) if key in prompt}
            arguments = "".join(f", {key}={value!r}" for key, value in options.items())
            answer = run.templates.evaluate(f"{answer!r} | password_hash({prompt['encrypt']!r}{arguments})", scope)
        answers[name] = answer
    return answers


async def _one(prompt: Any, emit: Emit) -> str | None:
    text = str(prompt.get("prompt") or prompt["name"])
    default = prompt.get("default")
    private = prompt.get("private", True)
    if not sys.stdin.isatty():
        if default is None:
            name = prompt["name"]
            if prompt.get("encrypt"):  # the hash of nothing would be an account without a password
                raise ShepherdError(
                    f"vars_prompt {name!r} has no default to hash, and there is no terminal to ask at",
                    hint=f"give the hash with -e '{name}=…'",
                )
            # a playbook may do without it, and is played by cron
            text = f"{name}: there is no terminal to ask at, so it is null; give it with -e '{name}=…'"
            emit(Message("warning", text))
            return None
        return str(default)
    question = f"{text} [{default}]: " if default is not None and not private else f"{text}: "
    while True:
        answer = await asking.ask(emit, question, echo=not private)
        if not answer and default is not None:
            return str(default)
        if not prompt.get("confirm"):
            return answer
        again = await asking.ask(emit, f"confirm {text}: ", echo=not private)
        if again == answer:
            return answer
        emit(Message("warning", "the two differ; once more"))
