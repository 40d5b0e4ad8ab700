"""The controller's half of `template`: render here, then bring the text to the host as `copy` does."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from shepherd.actions import copy
from shepherd.errors import ShepherdError
from shepherd.templating import TemplateOptions

if TYPE_CHECKING:
    from shepherd.engine.step import Step

ONE_REQUEST = True  # as `copy`, which sends what was rendered
OF_JINJA = (
    "block_start_string",
    "block_end_string",
    "variable_start_string",
    "variable_end_string",
    "comment_start_string",
    "comment_end_string",
    "trim_blocks",
    "lstrip_blocks",
    "newline_sequence",
)
OF_COPY = [
    "dest",
    "backup",
    "force",
    "follow",
    "mode",
    "owner",
    "group",
    "attributes",
    "seuser",
    "serole",
    "setype",
    "selevel",
    "unsafe_writes",
    "validate",
]


async def run(step: Step) -> dict[str, Any]:
    args = step.args
    source = step.find("templates", args["src"])
    if os.path.isdir(source):
        raise ShepherdError(f"{source} is a directory; a template is a file", origin=step.task.origin)
    options = TemplateOptions(**{name: args[name] for name in OF_JINJA}, destination=args["dest"], name=args["src"])
    encoding = args["output_encoding"]
    text = await step.worked_out(step.run.templates.render_file, source, step.scope, options=options)
    sent = {name: args[name] for name in OF_COPY}
    if sent["mode"] == "preserve":
        sent["mode"] = f"0{os.stat(source).st_mode & 0o7777:o}"
    sent["_original_basename"] = os.path.basename(source)
    try:
        content = text.encode(encoding, "surrogateescape" if encoding == "utf-8" else "strict")
    except (LookupError, UnicodeEncodeError) as error:
        raise ShepherdError(f"output_encoding {encoding}: {error}", origin=step.task.origin) from None
    return await copy.send(step, content, sent)
