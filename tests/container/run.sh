#!/bin/sh
# Builds the image of the Dockerfile without a daemon or a registry, and records a call in it: with a read-only root, as
# the Dockerfile's user, without a capability. Needs root, debootstrap and buildah; run by `make container-test`.
#
# The base is a Debian of debootstrap with its Python as /usr/local/bin/python; wheels are fetched here, with this
# machine's pip, and the build sees no other place. What it makes stays in .container, for the next run.
set -eu
python=$1
here=$(pwd)/.container
mkdir -p "$here/wheels"

if [ ! -e "$here/base.tar" ]; then
  rm -rf "$here/base"
  debootstrap --variant=minbase --include=python3-venv,ca-certificates bookworm "$here/base"
  chroot "$here/base" python3 -m venv /usr/local
  printf '[global]\nno-index = true\nfind-links = /wheels-in\n' > "$here/base/etc/pip.conf"
  tar -C "$here/base" --exclude './var/cache/apt/*' -cf "$here/base.tar" .
fi
for file in server build; do
  "$python" -m pip download --quiet --require-hashes --requirement "requirements/$file.txt" --dest "$here/wheels"
done

build() { buildah --root "$here/store" --runroot "$here/run" "$@"; }
container=$(build from scratch)
build add --quiet "$container" "$here/base.tar" / > /dev/null
build config --env PATH=/usr/local/bin:/usr/bin:/bin "$container"
build commit --quiet "$container" localhost/strep-base > /dev/null
build build --isolation chroot --build-arg BASE=localhost/strep-base --volume "$here/wheels:/wheels-in:ro" \
  --quiet --tag strep . > /dev/null
container=$(build from --pull-never localhost/strep)
root=$(build mount "$container")
user=$(sed -n 's/^USER \([0-9]*\):.*/\1/p' Dockerfile)

rm -rf "$here/data"
mkdir "$here/data"
chown "$user:$user" "$here/data"
cat > "$here/inside.sh" <<INSIDE
set -e
mount --make-rprivate /
mount --bind "$root" "$root"
mount -o remount,bind,ro "$root"
mount --bind "$here/data" "$root/data"
mount -t tmpfs tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
exec chroot "$root" setpriv --reuid $user --regid $user --clear-groups --bounding-set=-all --inh-caps=-all --no-new-privs \
  env -i PATH=/opt/strep/bin:/usr/local/bin:/usr/bin:/bin PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 HOME=/tmp \
  STREP_UDP=127.0.0.1:0 STREP_RECORD=/data strep serve --drain-timeout 0
INSIDE
unshare --mount sh "$here/inside.sh" > "$here/out" 2> "$here/err" &
server=$!
trap 'kill $server 2> /dev/null || true; build rm --all > /dev/null 2>&1 || true' EXIT
until grep -q '^ready' "$here/out"; do
  kill -0 $server 2> /dev/null || { cat "$here/err" >&2; exit 1; }
  sleep 0.2
done
grep -q "^Uid:.$user.$user" /proc/$server/status
grep -q '^CapEff:.0000000000000000' /proc/$server/status
if touch /proc/$server/root/touched 2> /dev/null; then echo 'container-test: the root can be written to' >&2; exit 1; fi
address=$(sed -n 's/.*"udp": "\([^"]*\)".*/\1/p' "$here/out")
"$python" -m media.cli simulate --udp "$address" --seconds 1
kill -TERM $server
wait $server
grep -q '"state": "complete"' "$here"/data/*.json
echo "container-test: built, and a call recorded in it by user $user, root read-only, no capabilities"
