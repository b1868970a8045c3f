# The user, the directories and the services.
etc=${DPKG_ROOT:-}/etc/vts-autocopy
example=${DPKG_ROOT:-}/usr/share/vts-autocopy/vts-autocopy.yaml

make_user() {
    if command -v systemd-sysusers >/dev/null 2>&1; then
        systemd-sysusers vts-autocopy.conf && return 0
    fi
    getent group vts-autocopy >/dev/null || groupadd --system vts-autocopy
    getent passwd vts-autocopy >/dev/null || useradd --system --gid vts-autocopy \
        --home-dir /var/lib/vts-autocopy --no-create-home --shell /usr/sbin/nologin \
        --comment 'AutoCopy agent' vts-autocopy
}

# What tmpfiles.d says, also where systemd-tmpfiles is not.
make_directories() {
    if command -v systemd-tmpfiles >/dev/null 2>&1; then
        systemd-tmpfiles --create vts-autocopy.conf && return 0
    fi
    for directory in /var/lib/vts-autocopy /run/vts-autocopy /var/log/vts-autocopy; do
        [ -d "$directory" ] || install -d -o vts-autocopy -g vts-autocopy -m 0750 "$directory"
    done
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
  edit /etc/vts-autocopy/vts-autocopy.yaml   (or: copyagent init; see vts-autocopy.yaml(5))
  copyagent keys init TARGET                 for each receiving system
  copyagent check; copyagent doctor
  systemctl enable --now vtsfs@VAULT.service copyagent.service
"Installing" under OPERATION in vts-autocopy(7) tells it all.
END
}

# Never fails: what is not right with a service is no reason to leave a package half done.
services() {
    [ -d /run/systemd/system ] || return 0
    if [ "$1" != daemon-reload ] && command -v deb-systemd-invoke >/dev/null 2>&1; then
        deb-systemd-invoke "$@" || say "'systemctl $*' failed: see systemctl status copyagent.service"
    else
        systemctl "$@" || say "'systemctl $*' failed: see systemctl status copyagent.service"
    fi
}
