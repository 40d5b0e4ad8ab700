"""Templates: Jinja with Ansible's meaning, over variables that are rendered when they are read."""

from shepherd.templating.omit import OMIT, drop_omitted
from shepherd.templating.scope import Layer, Scope
from shepherd.templating.search import MissingFileError, find_file
from shepherd.templating.templates import DelimitersInCondition, TemplateOptions, Templates, is_template

__all__ = [
    "OMIT",
    "DelimitersInCondition",
    "Layer",
    "MissingFileError",
    "Scope",
    "TemplateOptions",
    "Templates",
    "drop_omitted",
    "find_file",
    "is_template",
]
