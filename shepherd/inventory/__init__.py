"""Hosts, groups and their variables: `load` reads sources, `Inventory` answers."""

from shepherd.inventory.group import Group
from shepherd.inventory.host import Host
from shepherd.inventory.inventory import Inventory
from shepherd.inventory.source import load

__all__ = ["Group", "Host", "Inventory", "load"]
