#!/bin/sh
echo "$1 by $(id -un) in $(pwd)"
