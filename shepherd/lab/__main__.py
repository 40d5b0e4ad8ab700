"""`python -m shepherd.lab VERB`: the same as `shepherd lab VERB`, without the rest of Shepherd."""

from __future__ import annotations

import argparse
import sys

from shepherd.cli import lab
from shepherd.errors import ShepherdError

parser = argparse.ArgumentParser(prog="python -m shepherd")
lab.add_parser(parser.add_subparsers(required=True))
options = parser.parse_args(["lab", *sys.argv[1:]])
try:
    sys.exit(options.main(options))
except ShepherdError as error:
    sys.exit(f"shepherd: {error.render()}")
