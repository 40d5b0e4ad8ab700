"""Records what ansible-core makes of option values: `python tests/playbook/option_values.py` writes values.json anew.

What stands first in each line of values.json is given to its validator of modules' arguments.
"""

from __future__ import annotations

import json
import re
import subprocess
from pathlib import Path
from typing import Any

from playbook_trees import oracle

RECORDED = Path(__file__).parent / "values.json"
SPEC: dict[str, Any] = {
    "s": {"type": "str"},
    "b": {"type": "bool"},
    "i": {"type": "int"},
    "f": {"type": "float"},
    "l": {"type": "list"},
    "ls": {"type": "list", "elements": "str"},
    "li": {"type": "list", "elements": "int"},
    "d": {"type": "dict"},
    "r": {"type": "raw"},
    "by": {"type": "bytes"},
    "bi": {"type": "bits"},
    "j": {"type": "jsonarg"},
    "c": {"choices": ["a", "no", "yes"]},
    "c2": {"choices": ["a", "off"]},
    "cl": {"type": "list", "elements": "str", "choices": ["a", "b"]},
    "ci": {"type": "int", "choices": [1, 2]},
    "sub": {"type": "dict", "options": {"x": {"type": "int", "required": True}, "y": {"default": "q"}}},
    "subl": {
        "type": "list",
        "elements": "dict",
        "options": {"x": {"type": "int", "required": True}, "y": {"default": "q"}},
    },
    "al": {"aliases": ["al2", "al3"]},
    "dd": {"default": "dv"},
    "di": {"type": "int", "default": 7},
    "e1": {},
    "e2": {},
    "t1": {},
    "t2": {},
    "state": {"choices": ["x", "y"]},
    "by1": {},
}
RULES: dict[str, Any] = {
    "mutually_exclusive": [["e1", "e2"]],
    "required_together": [["t1", "t2"]],
    "required_if": [["state", "y", ["e1", "t1"]], ["state", "x", ["e1", "s"], True]],
    "required_by": {"by1": ["s", "i"]},
}
ASK = """
import json, sys
from ansible.module_utils.common.arg_spec import ModuleArgumentSpecValidator
asked = json.load(sys.stdin)
answers = []
for case in asked["cases"]:
    result = ModuleArgumentSpecValidator(asked["spec"], **asked["rules"]).validate(case)
    answers.append(result.error_messages[0] if result.error_messages else result.validated_parameters)
json.dump(answers, sys.stdout)
"""


def ask(cases: list[dict[str, Any]]) -> list[Any]:
    """For each the options that were given, as a module gets them, or the message."""
    program = oracle("ansible")
    assert program
    asked = json.dumps({"spec": SPEC, "rules": RULES, "cases": cases})
    python = Path(program).parent / "python"
    done = subprocess.run([python, "-c", ASK], input=asked, capture_output=True, text=True, check=True)
    return [_answer(case, result) for case, result in zip(cases, json.loads(done.stdout), strict=True)]


def _answer(case: dict[str, Any], result: Any) -> Any:
    if isinstance(result, str):
        message = "Unsupported parameters for (probe) module: "
        return message + result if re.fullmatch(r"[\w., ]+\. Supported parameters include: .*", result) else result
    return {name: result[name] for name in sorted({"al" if name in ("al2", "al3") else name for name in case})}


if __name__ == "__main__":
    given = [case for case, _ in json.loads(RECORDED.read_text())]
    answers = zip(given, ask(given), strict=True)
    RECORDED.write_text("[\n" + ",\n".join(json.dumps(answer) for answer in answers) + "\n]\n")
