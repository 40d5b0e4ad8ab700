"""`python -m shepherd`"""

from shepherd.cli import command

command()
