"""Networks of containers: bridges, addresses, published ports, names. `attach.py` is what others call."""
