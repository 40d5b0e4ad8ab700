"""python -m shepherd.runtime VERB …"""

import os
import sys

from shepherd.runtime.cli import main

code = main()
sys.stdout.flush()
sys.stderr.flush()
os._exit(code)  # taking the interpreter apart would take longer than most verbs
