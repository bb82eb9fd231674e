#!/bin/sh
# The files of `make install` come and go; the Debian package is made, passes lintian, is installed with
# dpkg, used, upgraded, removed and purged, and leaves nothing behind but what is the operator's.
#   deb_test.sh TIDEMARK
# The system that it is installed into is an overlay over this one, in a mount namespace of its own.
set -eu
program=$(readlink -f "$1")
top=$(cd "$(dirname "$0")/../.." && pwd)
here=$(cd "$(dirname "$0")" && pwd)
fail() { printf 'deb_test: %s\n' "$*" >&2; exit 1; }
skip() { printf 'deb_test: skipped: %s\n' "$*"; exit 77; }

scratch=$(mktemp -d /tmp/deb-test.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
chmod 755 "$scratch"

# make install, make uninstall: exactly what came goes again.
plain=$scratch/plain
mkdir -p "$plain/etc/tidemark" "$plain/usr/local/share/doc/tidemark"
echo mine >"$plain/etc/tidemark/tidemark.toml"
"$top/tools/install-files" --program "$program" --destdir "$plain"
for file in bin/tidemark share/man/man1/tidemark.1 lib/systemd/system/tidemark.timer \
    lib/sysusers.d/tidemark.conf share/bash-completion/completions/tidemark \
    lib/systemd/system/tidemark-drill.timer lib/systemd/system/tidemark-drill@.timer \
    share/doc/tidemark/guide/exit-codes.md share/doc/tidemark/examples/tidemark.toml; do
    [ -s "$plain/usr/local/$file" ] || fail "make install lacks $file"
done
grep -q '^ExecStart=/usr/local/bin/tidemark run$' "$plain/usr/local/lib/systemd/system/tidemark.service" ||
    fail "the unit does not run the installed program"
grep -q '^ExecStart=/usr/local/bin/tidemark drill %i$' "$plain/usr/local/lib/systemd/system/tidemark-drill@.service" ||
    fail "the unit of the drill does not run it"
if grep -r '@[a-z_]*@' "$plain/usr/local/lib/systemd"; then fail "a unit holds a word of its template"; fi
"$top/tools/install-files" --remove --destdir "$plain"
left=$(cd "$plain" && find . -type f)
[ "$left" = ./etc/tidemark/tidemark.toml ] || fail "make uninstall left or took: $left"
[ ! -e "$plain/usr/local/share/doc/tidemark" ] || fail "make uninstall left its documentation folder"

# The package.
for tool in dpkg-deb dh lintian systemd-analyze man unshare; do
    command -v "$tool" >/dev/null || skip "there is no $tool; tools/install-packages deb"
done
version=$("$program" version | sed -n 's/^tidemark //p')
[ "$(dpkg-parsechangelog -l "$top/debian/changelog" -S Version)" = "$version" ] ||
    fail "debian/changelog and tidemark version differ"
"$top/tools/make-deb" "$program" "$scratch/out"
deb=$(ls "$scratch"/out/tidemark_*.deb)
mkdir "$scratch/tree"
dpkg-deb -x "$deb" "$scratch/tree"
for unit in tidemark tidemark@ tidemark-drill tidemark-drill@; do
    # The threshold counts in tenths.
    systemd-analyze security --offline=true --threshold=20 --no-pager \
        "$scratch/tree/lib/systemd/system/$unit.service" >"$scratch/security" ||
        { cat "$scratch/security"; fail "$unit.service is exposed more than 2.0"; }
    tail -n 1 "$scratch/security"
    # The recovery sheet is refreshed beside the configuration, which no run may change.
    grep -q '^ReadWritePaths=.* -/etc/tidemark$' "$scratch/tree/lib/systemd/system/$unit.service" ||
        fail "$unit.service cannot refresh the recovery sheet"
    grep -qx 'ReadOnlyPaths=-/etc/tidemark/tidemark.toml' "$scratch/tree/lib/systemd/system/$unit.service" ||
        fail "$unit.service can write the configuration"
    # "Overall exposure level for tidemark.service: 1.6 OK"; each version of systemd counts in its own way.
    systemd-analyze --version | grep -q '^systemd 252 ' || continue
    level=$(tail -n 1 "$scratch/security" | sed 's/.*: \([0-9.]*\) .*/\1/')
    for page in guide/schedule support; do
        grep -E "\-\-offline=true\`[^0-9]* $level[ ,);]" "$top/docs/$page.md" >/dev/null ||
            fail "docs/$page.md says another exposure of $unit.service than $level"
    done
done
# What may keep servers from being started is the same for the runs, so both are the same sandbox, and as
# gentle on the host.
sandbox() { grep -E '^[A-Z][A-Za-z]*=' "$1" | grep -vE '^(Description|Documentation|Wants|After|Type|ExecStart|SuccessExitStatus)='; }
sandbox "$scratch/tree/lib/systemd/system/tidemark@.service" >"$scratch/of-runs"
sandbox "$scratch/tree/lib/systemd/system/tidemark-drill@.service" >"$scratch/of-drills"
grep -qx 'MemoryDenyWriteExecute=yes' "$scratch/of-runs" || fail "the units have no sandbox"
grep -qx 'IOSchedulingPriority=7' "$scratch/of-runs" || fail "the units read before the servers do"
diff "$scratch/of-runs" "$scratch/of-drills" || fail "the drill's sandbox is another one than the run's"
manual=$(man --warnings -E UTF-8 -l -Tutf8 -Z "$scratch/tree/usr/share/man/man1/tidemark.1.gz" 2>&1 >/dev/null)
[ -z "$manual" ] || fail "the manual page has warnings: $manual"
answer=$(bash -c '. "$1"; COMP_WORDS=(tidemark --repo /x restore --in-doubt "") COMP_CWORD=5; _tidemark
    printf "%s " "${COMPREPLY[@]}"' bash "$scratch/tree/usr/share/bash-completion/completions/tidemark")
[ "$answer" = "settle keep " ] || fail "bash completes with: $answer"

[ "$(id -u)" -eq 0 ] || skip "made and linted; only root can install it"
unshare -m true 2>/dev/null || skip "made and linted; no mount namespace here to install it into"
[ ! -e /usr/bin/tidemark ] || skip "made and linted; tidemark is installed on this system"
cp "$deb" "$scratch/tidemark.deb"
code=0
unshare -m "$here/install_in_overlay.sh" "$scratch" || code=$?
[ "$code" -ne 77 ] || skip "made and linted; no overlay file system here to install it into"
[ "$code" -eq 0 ] || fail "installing failed"
echo "deb_test: ok"
