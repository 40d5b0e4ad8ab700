"""The runtime of an ordinary user: see docs/runtime/rootless.md."""
