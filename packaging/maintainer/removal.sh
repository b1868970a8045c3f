# What removal has to know, and what it leaves. The kernel's table of mounts tells which vaults are attached, dead
# overlays included, without touching a file system that may not answer.

# One line for each: vault and mount point. See proc_pid_mountinfo(5). Kernels from 6.0 on write a
# number sign as \043.
attached_vaults() {
    while read -r _ _ _ _ point rest; do
        case $rest in
        *' - fuse'*) ;;
        *) continue ;;
        esac
        rest=${rest#* - fuse* }
        case $rest in
        'vtsfs\043'* | 'vtsfs#'*)
            vault=${rest#vtsfs}
            vault=${vault#'\043'}
            vault=${vault#'#'}
            printf '%s %s\n' "${vault%% *}" "$point"
            ;;
        esac
    done <"${1:-/proc/self/mountinfo}"
}

# Fails while a vault is attached, and says what to do. $1: what is refused.
refuse_while_attached() {
    [ -r "${2:-/proc/self/mountinfo}" ] || return 0
    attached=$(attached_vaults "${2:-/proc/self/mountinfo}")
    [ -n "$attached" ] || return 0
    {
        printf 'vts-autocopy: not %s: the tape engine works through vaults that are attached:\n' "$1"
        printf '%s\n' "$attached" | sed 's/^\([^ ]*\) \(.*\)$/    \1 at \2/'
        printf '  Nothing was stopped. End the tape engine, then take them off:\n'
        printf '%s\n' "$attached" | sed 's/^\([^ ]*\) .*$/    vtsfs detach \1/'
        printf '  and try again. See "Removing it" under OPERATION in vts-autocopy(7).\n'
    } >&2
    return 1
}

# Agents of ours that no service runs, one process number on a line; not those of a container, whose
# files are not the ones that go.
other_agents() {
    for file in /proc/[0-9]*/cmdline; do
        case $(tr '\0' ' ' 2>/dev/null <"$file" || true) in
        "$home/"*' -m copyagent '*'run ')
            process=${file#/proc/}
            process=${process%/cmdline}
            [ ! "/proc/$process/root/." -ef /proc/self/root/. ] || echo "$process"
            ;;
        esac
    done 2>/dev/null
}

# As a service manager would: told to end, and waited for.
end_other_agents() {
    for process in $(other_agents); do
        kill -TERM "$process" 2>/dev/null || true
    done
    waited=0
    while [ -n "$(other_agents)" ]; do
        if [ "$waited" = 30 ]; then
            say "an agent is still running, and goes on without its files (process $(other_agents | tr '\n' ' ')): end it"
            return 0
        fi
        waited=$((waited + 1))
        sleep 1
    done
}

settings=${DPKG_ROOT:-}/etc/vts-autocopy
state=${DPKG_ROOT:-}/var/lib/vts-autocopy
# Not among the state, which belongs to the agent's user, who could have root write through a link.
count_file=$settings/unprotected-when-removed

# Whether the settings are as the package has made them.
is_example() {
    printf '%s  %s\n' '@EXAMPLE_SHA256@' "$settings/vts-autocopy.yaml" |
        sha256sum -c --status - 2>/dev/null
}

# While the programs are there: how many tapes have no copy as they are now. Asked of the agent, or
# of what it left when it ended.
record_unprotected() {
    [ -d "$settings" ] || return 0
    # As it was installed: there never was a tape to protect.
    ! is_example || return 0
    counted=$(timeout 20 "$home/current/bin/copyagent" status --json 2>/dev/null |
        timeout 20 "$home/current/bin/python3.13" -I -B -c '
import json, sys
known = json.load(sys.stdin)
print(sum(pool["unprotected"] for pool in known["pools"]), known["at"])' 2>/dev/null) || counted=
    printf '%s\n' "${counted:-unknown}" >"$count_file" || true
}

tell_unprotected() {
    [ -r "$count_file" ] || return 0
    read -r count at <"$count_file" || return 0
    case $count in
    unknown) say "how many tapes have no copy as they are now is not known: no agent ran, and none left word." ;;
    0) say "every watched tape had its copy when the agent was last heard of ($at)." ;;
    *) say "UNPROTECTED TAPES: $count had no copy as they are now when the agent was last heard of ($at)." ;;
    esac
}

# Purged: what the package made and nobody changed goes. Keys, settings, state and log stay unless
# the operator has told so with a file; a purge is too easily said to take the only evidence along.
forget_settings_and_state() {
    if [ -e "$state/remove-state-too" ]; then
        for directory in "$state" "${DPKG_ROOT:-}/var/log/vts-autocopy" "$settings"; do
            # One that is a file system of its own cannot go, and is emptied.
            rm -rf "$directory" 2>/dev/null || find "$directory" -xdev -mindepth 1 -delete
        done
        rm -rf "${DPKG_ROOT:-}/run/vts-autocopy"
        say "settings, keys, state and event log were removed, as $state/remove-state-too said."
        return 0
    fi
    tell_unprotected
    rm -f "$count_file"
    ! is_example || rm -f "$settings/vts-autocopy.yaml"
    rm -rf "${DPKG_ROOT:-}/run/vts-autocopy"
    for directory in "$settings/keys" "$settings" "$state" "${DPKG_ROOT:-}/var/log/vts-autocopy"; do
        rmdir "$directory" 2>/dev/null || true
    done
    tell_what_is_kept
}

tell_what_is_kept() {
    kept=
    for directory in "$settings" "$state" "${DPKG_ROOT:-}/var/log/vts-autocopy"; do
        [ ! -d "$directory" ] || kept="$kept $directory"
    done
    [ -z "$kept" ] || say "settings, keys, state and event log are kept. Whoever wants none of them any more:
    rm -r$kept"
}
