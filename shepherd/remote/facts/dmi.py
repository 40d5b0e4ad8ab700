"""What the firmware says of the machine (SMBIOS), as the kernel shows it in /sys."""

from shepherd.remote.facts import files

DIRECTORY = "/sys/devices/virtual/dmi/id/"
FIELDS = (
    "bios_date bios_vendor bios_version board_asset_tag board_name board_serial board_vendor board_version"
    " chassis_asset_tag chassis_serial chassis_vendor chassis_version product_name product_serial product_uuid"
    " product_version"
)
# SMBIOS reference specification, 7.4.1: system enclosure or chassis types
FORM_FACTORS = (
    "Unknown",
    "Other",
    "Unknown",
    "Desktop",
    "Low Profile Desktop",
    "Pizza Box",
    "Mini Tower",
    "Tower",
    "Portable",
    "Laptop",
    "Notebook",
    "Hand Held",
    "Docking Station",
    "All In One",
    "Sub Notebook",
    "Space-saving",
    "Lunch Box",
    "Main Server Chassis",
    "Expansion Chassis",
    "Sub Chassis",
    "Bus Expansion Chassis",
    "Peripheral Chassis",
    "RAID Chassis",
    "Rack Mount Chassis",
    "Sealed-case PC",
    "Multi-system",
    "CompactPCI",
    "AdvancedTCA",
    "Blade",
    "Blade Enclosure",
    "Tablet",
    "Convertible",
    "Detachable",
    "IoT Gateway",
    "Embedded PC",
    "Mini PC",
    "Stick PC",
)


def collect():
    facts = {field: files.text(DIRECTORY + field, "NA") for field in FIELDS.split()}
    facts["system_vendor"] = files.text(DIRECTORY + "sys_vendor", "NA")
    kind = files.text(DIRECTORY + "chassis_type", "")
    facts["form_factor"] = "NA"
    if kind.isdigit():
        known = int(kind) < len(FORM_FACTORS)
        facts["form_factor"] = FORM_FACTORS[int(kind)] if known else "unknown (%s)" % kind
    return facts
