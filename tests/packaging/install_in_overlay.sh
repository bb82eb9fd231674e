#!/bin/sh
# Installs SCRATCH/tidemark.deb into an overlay over this system, and removes it. Run in a mount namespace.
#   install_in_overlay.sh SCRATCH
set -eu
scratch=$1
fail() { printf 'install_in_overlay: %s\n' "$*" >&2; exit 1; }

mount --make-rprivate / || exit 77
mkdir "$scratch/layer"
mount -t tmpfs tidemark "$scratch/layer" || exit 77
root=$scratch/layer/root
mkdir "$scratch/layer/upper" "$scratch/layer/work" "$root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$scratch/layer/upper,workdir=$scratch/layer/work" "$root" || exit 77
mount --bind /proc "$root/proc"
cp "$scratch/tidemark.deb" "$root/tmp/tidemark.deb"
mkdir -p "$root/etc/dpkg/dpkg.cfg.d"
rm -f "$root"/etc/dpkg/dpkg.cfg.d/* # images for containers leave out documentation
inside() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
as_tidemark() { inside setpriv --reuid tidemark --regid tidemark --init-groups "$@"; }
dpkg() { inside dpkg "$@" >"$scratch/dpkg.log" 2>&1 || { cat "$scratch/dpkg.log" >&2; fail "dpkg $* failed"; }; }

# Everything but the package manager's own books, caches and the system's list of users.
files() {
    (cd "$root" && find etc lib usr var opt -xdev \( -path var/lib/dpkg -o -path var/cache -o -path var/log \) \
        -prune -o -print | grep -vE '^etc/(passwd|group|shadow|gshadow|subuid|subgid)-?$|^etc/\.pwd\.lock$' | sort)
}

files >"$scratch/before"
dpkg --install /tmp/tidemark.deb
inside getent passwd tidemark | grep -q ':/var/lib/tidemark:/usr/sbin/nologin$' || fail "there is no user tidemark"
for folder in 'etc/tidemark 750' 'var/lib/tidemark 700' 'var/backups/tidemark 700'; do
    [ "$(inside stat -c '%U:%G %a' "/${folder% *}")" = "tidemark:tidemark ${folder#* }" ] ||
        fail "/${folder% *} is not what the service needs"
done
[ ! -e "$root/etc/tidemark/tidemark.toml" ] || fail "the package brought a configuration"
[ ! -L "$root/etc/systemd/system/timers.target.wants/tidemark.timer" ] || fail "the timer is enabled before anybody asked"
inside systemd-analyze verify --man=no /lib/systemd/system/tidemark.timer /lib/systemd/system/tidemark@shop.timer \
    /lib/systemd/system/tidemark-drill.timer /lib/systemd/system/tidemark-drill@shop.timer
[ "$(as_tidemark tidemark version | head -n 1)" = "tidemark $(inside dpkg-query -W -f '${Version}' tidemark)" ] || fail "another version"
# The example is a right configuration: what is missing is the repository.
as_tidemark tidemark --config /usr/share/doc/tidemark/examples/tidemark.toml list marks >"$scratch/said" 2>&1 || :
grep -q 'no tidemark repository at /var/backups/tidemark' "$scratch/said" ||
    { cat "$scratch/said"; fail "the example configuration is not right"; }

# What is the operator's survives an upgrade, the removal and even the purge.
echo 'password' >"$root/var/lib/tidemark/.pgpass"
echo '# mine' >"$root/etc/tidemark/tidemark.toml"
echo '{}' >"$root/var/backups/tidemark/tidemark.json"
mkdir -p "$root/var/lib/tidemark/.local/state/tidemark"
echo '{}' >"$root/var/lib/tidemark/.local/state/tidemark/0a.json"
mine() { [ "$(cat "$root/etc/tidemark/tidemark.toml" "$root/var/backups/tidemark/tidemark.json")" = "$(printf '# mine\n{}')" ]; }
inside systemctl enable tidemark.timer tidemark@shop.timer tidemark-drill.timer tidemark-drill@shop.timer 2>/dev/null
dpkg --install /tmp/tidemark.deb
mine || fail "an upgrade touched the configuration or the repository"
[ -L "$root/etc/systemd/system/timers.target.wants/tidemark.timer" ] || fail "an upgrade disabled the timer"
dpkg --remove tidemark
[ ! -e "$root/usr/bin/tidemark" ] || fail "the program is still there"
mine || fail "the removal touched the configuration or the repository"
dpkg --purge tidemark
mine || fail "the purge touched the configuration or the repository"
[ -e "$root/var/lib/tidemark/.pgpass" ] || fail "the purge took the passwords"
[ ! -e "$root/var/lib/tidemark/.local" ] || fail "the purge left what the program remembers"

# Without anything of the operator's, nothing is left.
rm "$root/etc/tidemark/tidemark.toml" "$root/var/backups/tidemark/tidemark.json" "$root/var/lib/tidemark/.pgpass"
dpkg --install /tmp/tidemark.deb
dpkg --purge tidemark
files >"$scratch/after"
diff "$scratch/before" "$scratch/after" || fail "this is left behind"
