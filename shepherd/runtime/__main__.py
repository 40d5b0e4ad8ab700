"""python -m shepherd.runtime VERB …"""

import sys

from shepherd.runtime.cli import main

sys.exit(main())
