#!/bin/sh
echo '{"list": ["a", "b[1:2]", "c:22"], "alone": {"ansible_host": "x"}, "prio": {"hosts": ["a"], "vars": {"x": 1, "ansible_group_priority": 5}},'
echo '"other": {"hosts": ["a"], "vars": {"x": 2}}, "_meta": {"hostvars": {"a": {"k": null, "u": {"__ansible_unsafe": "{{ x }}"}, "e": "\u00e9"}, "ghost": {}}}}'
