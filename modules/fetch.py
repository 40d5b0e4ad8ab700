"""Bring a file from a host to the controller. Its SPEC; the controller does it over the link."""

SPEC = {
    "summary": "Bring a file from a host",
    "description": "Stores it under a folder for each host, or with `flat` as it is named. Equal files stay.",
    "options": {
        "src": {"type": "str", "required": True, "help": "The file on the host. It must be a file, not a folder."},
        "dest": {"type": "str", "required": True, "help": "A folder of the controller, relative to the playbook."},
        "flat": {
            "type": "bool",
            "default": False,
            "help": "Take `dest` as the file's own name, or with a slash at its end as the folder, without the host's.",
        },
        "fail_on_missing": {"type": "bool", "default": True, "help": "Fail where the file is not there."},
        "validate_checksum": {"type": "bool", "default": True, "help": "Compare the digests of both ends."},
    },
    "returns": {
        "dest": {"type": "str", "help": "Where it is now."},
        "checksum": {"type": "str", "help": "The SHA-1 of its content."},
        "remote_checksum": {"type": "str", "help": "The SHA-1 of the content on the host."},
        "md5sum": {"type": "str", "help": "The MD5 of its content."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["posix"],
    "since": "0.1",
    "examples": """
- name: Collect the logs, one folder a host
  fetch:
    src: /var/log/app.log
    dest: logs/
""",
}
