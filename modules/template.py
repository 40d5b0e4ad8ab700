"""Render a template on the controller and bring the text to the host. Its SPEC; `copy` does the work on the host."""

SPEC = {
    "summary": "Write a file from a Jinja template",
    "description": "The template is rendered on the controller with the variables of the host. On the host the file is"
    " replaced in one step, and only where its content or attributes differ.",
    "include": ["file_attributes", "validate", "backup"],
    "options": {
        "src": {"type": "path", "required": True, "help": "The template, looked for in `templates/` of the role."},
        "dest": {"type": "path", "required": True, "help": "The file to write, or a folder to put it in."},
        "force": {"type": "bool", "default": True, "help": "False: leave a file alone that is already there."},
        "follow": {"type": "bool", "default": False, "help": "Write through a symbolic link at `dest`."},
        "block_start_string": {"type": "str", "default": "{%", "help": "What begins a block."},
        "block_end_string": {"type": "str", "default": "%}", "help": "What ends a block."},
        "variable_start_string": {"type": "str", "default": "{{", "help": "What begins an expression."},
        "variable_end_string": {"type": "str", "default": "}}", "help": "What ends an expression."},
        "comment_start_string": {"type": "str", "default": "{#", "help": "What begins a comment."},
        "comment_end_string": {"type": "str", "default": "#}", "help": "What ends a comment."},
        "trim_blocks": {"type": "bool", "default": True, "help": "Drop the newline behind a block."},
        "lstrip_blocks": {"type": "bool", "default": False, "help": "Drop white space before a block."},
        "newline_sequence": {
            "type": "str",
            "default": "\n",
            "choices": ["\n", "\r", "\r\n"],
            "help": "What ends the lines of the file.",
        },
        "output_encoding": {"type": "str", "default": "utf-8", "help": "The encoding of the file."},
    },
    "returns": {
        "dest": {"type": "str", "help": "The file."},
        "checksum": {"type": "str", "help": "The SHA-1 of its content."},
        "md5sum": {"type": "str", "help": "The MD5 of its content."},
        "src": {"type": "str", "help": "Where the content lay on the host."},
        "size": {"type": "int", "help": "Its size in bytes."},
        "owner": {"type": "str", "help": "Its owner."},
        "group": {"type": "str", "help": "Its group."},
        "mode": {"type": "str", "help": "Its permissions."},
        "backup_file": {"type": "str", "help": "The copy of the old file."},
    },
    "check": "full",
    "diff": "full",
    "platforms": ["posix"],
    "since": "0.1",
    "identity": ["dest"],
    "notes": [
        "A first line `#jinja2: trim_blocks: False` sets options of the template from within.",
        "Templates also see ansible_managed, template_host, template_path, template_fullpath, template_destpath,"
        " template_mtime, template_uid and template_run_date.",
    ],
    "examples": """
- name: The configuration, checked before it is used
  template:
    src: sshd_config.j2
    dest: /etc/ssh/sshd_config
    owner: root
    group: root
    mode: "0600"
    validate: /usr/sbin/sshd -t -f %s
""",
}
