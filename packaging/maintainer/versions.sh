# Versions side by side. /usr/lib/vts-autocopy/VERSION is the whole tree of one version, and `current`
# names the one that is started. What runs stays with the tree that it was started from, also when
# the package of that tree has been replaced:
#
#   before files are unpacked   `current` names a second tree, of hard links: VERSION~kept
#   files are unpacked          the new tree is written, the old one removed, VERSION~kept works
#   afterwards                  `current` names the new tree; VERSION is linked anew, and either goes
#                               when no process uses it any more
#
# Whatever is cut off anywhere in between, `current` names a whole tree, and the next run of the same
# step finishes what was begun. While `current` names a kept tree, the new one may be half there, so
# nothing is removed.
home=${DPKG_ROOT:-}/usr/lib/vts-autocopy
commands=${DPKG_ROOT:-}/usr/bin

say() { printf 'vts-autocopy: %s\n' "$*" >&2; }

# One at a time, since a service that stops removes unused versions as well. Without flock(1) there
# is nothing better than to hope.
locked() {
    mkdir -p "$home"
    if command -v flock >/dev/null 2>&1; then
        (
            flock 9
            "$@"
        ) 9<"$home"
    else
        "$@"
    fi
}

current_version() {
    if [ -L "$home/current" ]; then
        readlink "$home/current"
    fi
}

# Neither rpm nor cp waits for the disk: without this a power cut could leave a `current` that names
# files without content.
point_current() {
    sync -f "$home" 2>/dev/null || sync || true
    rm -f "$home/current.new"
    ln -s "$1" "$home/current.new"
    mv -T -f "$home/current.new" "$home/current"
}

# Before files are unpacked. Fails, and leaves everything as it was, where there is no room.
keep_current() {
    old=$(current_version)
    case $old in
    '' | *~kept) return 0 ;; # nothing to keep; or kept by an upgrade that was cut off
    esac
    if [ ! -d "$home/$old" ]; then
        rm -f "$home/current"
        return 0
    fi
    rm -rf "${home:?}/$old~kept"
    if ! cp -al "$home/$old" "$home/$old~kept"; then
        rm -rf "${home:?}/$old~kept"
        say "version $old cannot be kept while the new one is unpacked (see above): make room on the file system of $home, then try again. Nothing was changed."
        return 1
    fi
    point_current "$old~kept"
}

# After version $1 was unpacked.
begin_version() {
    point_current "$1"
}

# After the old version's own files were removed: running processes find theirs by the old name. By
# the second as well: what was started in between knows no other, and a tree that is renamed while a
# command imports from it is one without modules.
end_upgrade() {
    now=$(current_version)
    for kept in "$home"/*~kept; do
        old=${kept%~kept}
        if [ ! -d "$kept" ] || [ "$kept" = "$home/$now" ] || [ "$old" = "$home/$now" ]; then
            continue
        fi
        rm -rf "$old"
        cp -al "$kept" "$old" || rm -rf "$old"
    done
}

# After an upgrade was given up: version $1, whose package it is, is whole again.
go_back() {
    if [ -x "$home/$1/bin/copyagent" ]; then
        point_current "$1"
        in_use "$1~kept" || rm -rf "${home:?}/$1~kept"
    fi
}

# A process shows its files, with "(deleted)" behind those that were removed. Of one that can do more
# than we, as a container's first process can, only the command line can be seen; the programs are
# started by their full path. The names are not on grep's own command line, or it would find itself.
# A command that has begun and is not yet its interpreter could be of any version.
in_use() {
    # shellcheck disable=SC2062  # these are the files to look into
    printf '%s\n' "$home/$1/" "$home/current/bin/" "$commands/vtsfs" "$commands/copyagent" |
        grep -q -s -F --file=- /proc/[0-9]*/maps /proc/[0-9]*/cmdline
}

remove_unused() {
    now=$(current_version)
    case $now in
    '' | *~kept) return 0 ;; # an upgrade is under way, or was cut off
    esac
    for tree in "$home"/*; do
        name=${tree##*/}
        if [ -L "$tree" ] || [ ! -d "$tree" ] || [ "$name" = "$now" ]; then
            continue
        fi
        in_use "$name" || rm -rf "$tree"
    done
}

# When the package goes, with no vault attached.
remove_all_versions() {
    rm -f "$home/current" "$home/current.new"
    for tree in "$home"/*; do
        if [ -d "$tree" ] && [ ! -L "$tree" ]; then
            rm -rf "$tree"
        fi
    done
    rmdir "$home" 2>/dev/null || true
}

# Whether version $1 is older than $2; versions of ours are numbers, dots and a hyphen.
older() {
    [ "$1" != "$2" ] && [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]
}

# A newer version may have brought the state into a form that an older one cannot read.
refuse_downgrade() {
    told="${DPKG_ROOT:-}/var/lib/vts-autocopy/go-back-to-$1"
    older "$1" "${2%~kept}" || return 0
    [ ! -e "$told" ] || return 0
    say "not replaced: version ${2%~kept} is installed and $1 is older.
  It may not be able to read what the newer one has written, and then neither attaches vaults nor copies.
  Read 'Going back' under OPERATION in vts-autocopy(7). To go back all the same:
    touch /var/lib/vts-autocopy/go-back-to-$1
  and install it again."
    return 1
}
