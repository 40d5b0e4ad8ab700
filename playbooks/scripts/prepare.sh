#!/bin/sh
# Prepares the folder $1, in the background: others wait for what it writes.
set -eu
mkdir -p "$1"
cd "$1"
echo begun > log
touch started
(
    for number in 1 2 3; do
        echo "$number" > number
        sleep 0.2
    done
    echo done >> log
) > /dev/null 2>&1 &
