"""The far end of a link: runs on the target, with the standard library alone, on Python 3.6 and newer."""
