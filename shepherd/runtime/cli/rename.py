"""`shepherd-runtime rename CONTAINER NAME`: another name."""

from shepherd.runtime.cli import several
from shepherd.runtime.containers import events, launch
from shepherd.runtime.containers import record as records
from shepherd.runtime.containers.folders import Folders

HELP = "give a container another name"


def run(arguments: list) -> int:
    """The old name is free then."""
    options = several.parse(arguments, {}, "rename CONTAINER NAME", 2, 2)
    folders = Folders()
    word, name = options.rest
    name = records.check_name(name.lstrip("/"))
    with records.find(folders, word) as record:
        before = record.name
        with folders.lock():
            records.take_name(folders, name, record.id)
            record.config["Name"] = name
            record.save()
            if before != name:
                records.drop_name(folders, before)
        connection = launch.connect(record)
        if connection is not None:
            connection.say(b"u")
            connection.close()
        events.write(record, "rename", {"oldName": "/" + before})
    return 0
