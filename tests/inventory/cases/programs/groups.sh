#!/bin/sh
case "$1" in
--list) echo '{"web": {"hosts": ["w2","w1"], "vars": {"x": 1}, "children": ["db", "nope"]}, "db": ["d1","d2"], "solo": {"y": 3}, "all": {"children": ["web"], "vars": {"g": 1}}, "ungrouped": {"hosts": ["u"]}, "empty": {}, "_meta": {"hostvars": {"w1": {"a": "b", "s": "{{ x }}"}, "ghost": {"q": 1}}}}';;
--host) echo '{"never": 1}';;
esac
