#!/bin/sh
case "$1" in
--list) echo '{"web": {"hosts": ["w2","w1", "r[1:2]:22"]}}';;
--host) echo "{\"me\": \"$2\"}";;
esac
