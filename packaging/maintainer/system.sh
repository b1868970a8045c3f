# The user, the directories and the services.
etc=${DPKG_ROOT:-}/etc/vts-autocopy
example=${DPKG_ROOT:-}/usr/share/vts-autocopy/vts-autocopy.yaml

make_user() {
    if command -v systemd-sysusers >/dev/null 2>&1; then
        systemd-sysusers ${DPKG_ROOT:+--root="$DPKG_ROOT"} vts-autocopy.conf && return 0
    fi
    has group || groupadd --system ${DPKG_ROOT:+--prefix "$DPKG_ROOT"} vts-autocopy
    has passwd || useradd --system ${DPKG_ROOT:+--prefix "$DPKG_ROOT"} --gid vts-autocopy \
        --home-dir /var/lib/vts-autocopy --no-create-home --shell /usr/sbin/nologin \
        --comment 'AutoCopy agent' vts-autocopy
}

# getent(1) asks directory services as well, but only of the system that runs.
has() {
    if [ -n "${DPKG_ROOT:-}" ]; then
        grep -q '^vts-autocopy:' "$DPKG_ROOT/etc/$1"
    else
        getent "$1" vts-autocopy >/dev/null
    fi
}

# What tmpfiles.d says, also where systemd-tmpfiles is not.
make_directories() {
    if command -v systemd-tmpfiles >/dev/null 2>&1; then
        systemd-tmpfiles ${DPKG_ROOT:+--root="$DPKG_ROOT"} --create vts-autocopy.conf && return 0
    fi
    make_directory 0755 /var/lib/vts-autocopy
    make_directory 0750 /var/log/vts-autocopy
    make_directory 0755 /run/vts-autocopy
}

# One that is there stays as the operator has made it.
make_directory() {
    [ -d "${DPKG_ROOT:-}$2" ] || {
        mkdir -p "${DPKG_ROOT:-}$2"
        chmod "$1" "${DPKG_ROOT:-}$2"
        chown "$(owner)" "${DPKG_ROOT:-}$2"
    }
}

owner() {
    if [ -n "${DPKG_ROOT:-}" ]; then
        sed -n 's/^vts-autocopy:[^:]*:\([0-9]*\):\([0-9]*\):.*/\1:\2/p' "$DPKG_ROOT/etc/passwd"
    else
        echo vts-autocopy:vts-autocopy
    fi
}

# The settings are the operator's from the first moment: made if there are none, never replaced.
make_settings() {
    [ ! -e "$etc/vts-autocopy.yaml" ] && [ ! -L "$etc/vts-autocopy.yaml" ] || return 0
    mkdir -p "$etc"
    cp "$example" "$etc/vts-autocopy.yaml.new"
    chmod 0644 "$etc/vts-autocopy.yaml.new"
    mv "$etc/vts-autocopy.yaml.new" "$etc/vts-autocopy.yaml"
}

say_next_steps() {
    cat <<'END'
vts-autocopy is installed; nothing was started. What comes next, in this order:
  edit /etc/vts-autocopy/vts-autocopy.yaml   (or: copyagent init)
  copyagent keys init TARGET                 for each receiving system
  copyagent check; copyagent doctor
  systemctl enable --now vtsfs@VAULT.service copyagent.service
"Installing" under OPERATION in vts-autocopy(7) tells it all.
END
}

# Never fails: what is not right with a service is no reason to leave a package half done.
services() {
    [ -d /run/systemd/system ] && [ -z "${DPKG_ROOT:-}" ] || return 0
    if [ "$1" != daemon-reload ] && command -v deb-systemd-invoke >/dev/null 2>&1; then
        deb-systemd-invoke "$@" || say "'systemctl $*' failed: see systemctl status copyagent.service"
    else
        systemctl "$@" || say "'systemctl $*' failed: see systemctl status copyagent.service"
    fi
}

# What systemctl disable does, also where systemd does not run: whatever is installed later is to be
# started by nobody but an operator.
disable_services() {
    for link in "${DPKG_ROOT:-}"/etc/systemd/system/*.wants/copyagent.service \
        "${DPKG_ROOT:-}"/etc/systemd/system/*.wants/vtsfs@*.service; do
        [ ! -L "$link" ] || rm -f "$link"
    done
}
