"""What holds for every test, on any machine and however the suite was started."""

import signal

from hypothesis import HealthCheck, settings

from shepherd.lab import start
from tests.patience import seconds

# Made-up input may take as long as it takes: how busy the machine is tells nothing about what is tested.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")
start.PATIENCE = seconds(start.PATIENCE)

# A suite in the background of a script is started with Ctrl-C ignored, and what it starts would inherit that.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
