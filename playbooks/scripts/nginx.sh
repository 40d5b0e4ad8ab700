#!/bin/sh
# nginx.sh FOLDER: make FOLDER the root of an image with nginx in it, and no more than it needs. Its package is fetched
# and unpacked, not installed; the libraries are those of this machine.
set -eu
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
mkdir "$root" "$root/tmp"
chmod 0755 "$work" "$root"
chmod 1777 "$root/tmp"
cd "$work"

fetch() { # the first of these packages that has the program: on some releases nginx is a package of names alone
    for package in nginx nginx-light nginx-core; do
        apt-get download -q -o APT::Sandbox::User=root "$package" >/dev/null && dpkg-deb -x "$package"_*.deb "$root" || return 1
        [ ! -x "$root/usr/sbin/nginx" ] || return 0
    done
    return 1
}
fetch || { apt-get update -q && fetch; } # lists may be missing, or older than the mirror
rm -rf "$root/etc" "$root/usr/share" "$root/var"

needs=$(ldd "$root/usr/sbin/nginx")
case $needs in *"not found"*)
    printf 'this machine lacks libraries of nginx:\n%s\n' "$needs" >&2
    exit 1
    ;;
esac
printf '%s\n' "$needs" | sed -n 's,.*[[:space:]]\(/[^ ]*\) (.*,\1,p' | while read -r library; do
    mkdir -p "$root$(dirname "$library")"
    cp -L "$library" "$root$library"
done
mkdir -p "$(dirname "$1")"
mv "$root" "$1"
