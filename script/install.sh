#!/usr/bin/env bash
# Installs WSB Snake as a systemd service on Debian or Ubuntu, or brings an installed one to this version.
# It can be run again at any time: what is there and right stays, settings and data are never overwritten.
#
#   sudo script/install.sh               install, or upgrade from this checkout
#   sudo script/install.sh --rollback    back to the version before
#   sudo script/install.sh --uninstall   remove the service; settings, data and backups stay
#   sudo script/install.sh --uninstall --purge    and these as well, and the account if this made it
#
#   --yes       do not ask, also while the market is open
#   --root DIR  into DIR as if it were /; accounts and systemd are touched only by DIR's own tools
#
# An upgrade builds the new version beside the old one, then stops, backs up, starts (the start migrates
# the database) and waits until the daemon says that it works and has done so for 20 s. Where it does not, the old version comes
# back, with the backup when the database had been migrated.
# What you have disabled is upgraded and not started. A version whose Python is gone, as after an upgrade of
# the distribution, is built anew like another version.
#
# Exit codes: 0 done, 1 failed (the old version runs, if there was one, or the text says so), 2 not started.
set -euo pipefail
unset CDPATH
called_in=$PWD
[[ ${PYTHON:-} != */* ]] || PYTHON=$(realpath -s -- "$PYTHON")
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."
umask 022

name=wsb-snake
root='' ask=yes task=install purge=no
units=(wsb-snake.service wsb-snake-alert@.service wsb-snake-backup.service wsb-snake-backup.timer
    wsb-snake-health.service wsb-snake-health.timer)
timers=(wsb-snake-backup.timer wsb-snake-health.timer)
parts=(main.py wsb_snake script docs pyproject.toml requirements.txt requirements-dev.txt .env.example
    README.md INVARIANTS.md ARCHITECTURE_OVERVIEW.md)

trap '' PIPE # that nobody reads what it says any more stops nothing
say() { echo "wsb-snake: $*" || :; }
refuse() { say "$*" >&2; exit 2; }
fail() { say "$*" >&2; exit 1; }

while (($#)); do
    case $1 in
        --yes) ask=no ;;
        --root) root=$(cd -- "$called_in" && realpath -- "${2:?--root needs a directory}"); shift ;;
        --uninstall) task=uninstall ;;
        --purge) purge=yes ;;
        --rollback) task=rollback ;;
        -h | --help) sed -n '2,/^set -euo/{/^#/s/^# \{0,1\}//p}' "script/${BASH_SOURCE[0]##*/}"; exit 0 ;;
        *) refuse "unknown option $1; see script/install.sh --help" ;;
    esac
    shift
done
[[ $purge == no || $task == uninstall ]] || refuse "--purge goes with --uninstall"

home=$root/opt/$name settings=$root/etc/$name/$name.env
account_made=${settings%/*}/account-made # the account is ours to remove
data=$root/var/lib/$name backups=$root/var/backups/$name
system=$root/etc/systemd/system tmpfiles=$root/etc/tmpfiles.d/$name.conf command=$root/usr/local/bin/$name

# A tool that changes the machine. In a staging root only that root's own counts, and it may be missing.
machine() {
    if [[ -z $root ]]; then
        "$@"
    elif [[ -x $root/usr/bin/$1 ]]; then
        "$root/usr/bin/$1" "${@:2}"
    fi
}

owned() { if [[ -z $root ]]; then chown "$1" "$2"; fi; }
up() { [[ -z $root || -x $root/usr/bin/systemctl ]] && machine systemctl --quiet is-active "$name.service"; }
running() { # or is being started, perhaps again and again
    case $(machine systemctl show --property ActiveState --value "$name.service") in
        active | activating | reloading) ;;
        *) return 1 ;;
    esac
}
enabled() { [[ -z $root || -x $root/usr/bin/systemctl ]] && machine systemctl --quiet is-enabled "$name.service"; }
release_of() { if [[ -L $home/$1 ]]; then readlink -- "$home/$1"; fi; }

point() { # link a release under a name, in one step
    ln -sfn -- "$2" "$home/.$1.new"
    mv -T -- "$home/.$1.new" "$home/$1"
}

confirm() {
    [[ $ask == yes ]] || return 0
    local answer=''
    read -r -p "$1 [y/N] " answer || true
    [[ $answer == [yY]* ]] || refuse "nothing was done"
}

check_machine() {
    [[ -n $root || $EUID -eq 0 ]] || refuse "it needs root: sudo $0"
    [[ -n $root || -d /run/systemd/system ]] || refuse "this machine does not run systemd"
    [[ -e $root/usr/share/zoneinfo/America/New_York || -n $root ]] || refuse "time zones are missing: apt install tzdata"
}

# Nobody should stop or start it by accident while the market is open.
check_hours() {
    local now
    now=$(TZ=America/New_York date +%u:%H%M)
    [[ ${now%:*} -le 5 && ! ${now#*:} < 0930 && ${now#*:} < 1600 ]] || return 0
    now="it is ${now#*:} in New York, the market may be open"
    if up; then
        say "WARNING: $now, and the daemon runs. What is open is watched by nobody for as long as it stands" \
            "still (some 10 s in an upgrade)."
    elif [[ $task == install ]] && enabled; then
        say "WARNING: $now, and the daemon does not run. This starts it, and it trades."
    else
        return 0
    fi
    confirm "Go on?"
}

has_account() {
    if [[ -z $root ]]; then getent passwd "$name" >/dev/null; else grep -qs "^$name:" "$root/etc/passwd"; fi
}

make_account() {
    if ! has_account; then
        machine useradd --system --user-group --home-dir /var/lib/$name --no-create-home \
            --shell /usr/sbin/nologin "$name"
        touch -- "$account_made"
    fi
}

make_places() {
    mkdir -p -- "$home/releases" "$system" "${settings%/*}" "${tmpfiles%/*}" "${command%/*}" "$data" "$backups"
    chmod 0700 -- "${settings%/*}" "$data" "$backups"
    owned "$name:$name" "$data"
    owned "$name:$name" "$backups"
    if [[ ! -e $settings ]]; then
        local from=.env.example
        [[ ! -e .env ]] || from=.env
        (umask 077 && cat -- "$from" >"$settings.new") # never readable by others, not even for a moment
        mv -- "$settings.new" "$settings"
        say "settings are in $settings, taken from $from"
    fi
    chmod 0600 -- "$settings"
    owned root:root "$settings"
}

# Whether release ``$1`` finds its Python and its libraries.
can_run() { "$home/$1/.venv/bin/python" -c 'import pip, pydantic' >/dev/null 2>&1; }

# Copies this checkout and gives it its libraries, all beside what runs. Sets ``release``.
make_release() {
    local have=() part print tries=1
    for part in "${parts[@]}"; do
        [[ ! -e $part ]] || have+=("$part")
    done
    print=$(find "${have[@]}" -type f -not -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z |
        xargs -0 sha256sum | sha256sum)
    release=releases/${print:0:12}
    while [[ -e $home/$release/complete ]] && ! can_run "$release"; do # may still be open in a daemon
        release=releases/${print:0:12}-$((++tries))
    done
    if [[ ! -e $home/$release/complete ]]; then
        rm -rf -- "${home:?}/$release"
        mkdir -p -- "$home/$release"
        tar -cf - --exclude=__pycache__ -- "${have[@]}" | tar -xf - --no-same-owner -C "$home/$release"
        "$home/$release/script/setup_venv.sh" run
        case $(readlink -f -- "$home/$release/.venv/bin/python") in
            /root/* | /home/*) refuse "the service cannot see a Python in a home: PYTHON=/usr/bin/python3 $0" ;;
        esac
        "$home/$release/.venv/bin/python" -m compileall -q "$home/$release/wsb_snake" >/dev/null
        touch -- "$home/$release/complete"
    fi
}

# The units, the command and the place of the lock, as ``$1`` has them.
put_units() {
    local from=$home/$1/script/systemd each uid
    for each in "${units[@]}"; do
        install -m 0644 -- "$from/$each" "$system/$each"
    done
    uid=$(id -u "$name" 2>/dev/null || echo 0)
    sed "s/@UID@/$uid/" "$from/wsb-snake.tmpfiles" >"$tmpfiles"
    install -m 0755 -- "$from/command.sh" "$command"
    machine systemd-tmpfiles --create "$tmpfiles"
    machine systemctl daemon-reload
}

database_version() {
    "$home/$(release_of current)/.venv/bin/python" - "$data/wsb_snake.db" <<'END'
import pathlib, sqlite3, sys
path = pathlib.Path(sys.argv[1])
if path.exists():
    conn = sqlite3.connect(path.as_uri() + "?mode=ro", uri=True, timeout=10)
    print(conn.execute("PRAGMA user_version").fetchone()[0])
END
}

# Waits for READY, and for what comes after it: the broker may yet refuse.
start() {
    machine systemctl start "$name.service" && stays_up && machine systemctl start "${timers[@]}"
}

stays_up() {
    local first _
    [[ -z $root || -x $root/usr/bin/systemctl ]] || return 0
    first=$(restarts)
    for _ in {1..10}; do
        sleep 2
        up && [[ $(restarts) == "$first" ]] || return 1
    done
}

restarts() { machine systemctl show --property NRestarts --value "$name.service"; }

stop() { # with the timers, where the start that follows starts them again
    if [[ $starts == yes ]]; then
        machine systemctl stop "${timers[@]}" "$name.service"
    else
        machine systemctl stop "$name.service"
    fi
}

service() { # a command of the program, as the service's account
    if [[ -z $root ]]; then "$command" "$@"; else machine $name "$@"; fi
}

# A verified backup, which stays on the machine as yet: nothing that may take minutes while nobody watches.
# Sets ``backup``, or fails. Whatever else its line says is trouble with older ones.
back_up() {
    local told
    told=$(BACKUP_COPY_COMMAND='' TELEGRAM_BOT_TOKEN='' service backup 2>&1) || say "${told#wsb-snake: }"
    backup=$(sed -n 's/^\(wsb-snake: \)\{0,1\}backup \(\/.*\/wsb_snake_[0-9_]*\.db\): .*/\2/p' <<<"$told")
    [[ -n $backup && -e $backup ]]
}

# Changes to ``$1``, and starts it where ``$2`` is yes; whatever goes wrong or breaks it off, what was before
# comes back.
change_to() {
    came_from=$(release_of current) goes_to=$1 version='' backup='' starts=$2
    local needed=yes
    [[ $task == install ]] || up || needed=no
    can_run "$came_from" || needed=no
    trap come_back EXIT
    stop
    can_run "$came_from" || point current "$1" # so that there is a program that can back up
    # A program that is broken cannot back up; the way back to the older one must not hang on that. Nor must
    # the way on from a dead one, whose daemon has just been stopped and does not come back.
    if [[ -e $data/wsb_snake.db && ($task == install || $starts == yes) ]]; then
        version=$(database_version)
        back_up || [[ $needed == no ]] || fail "the backup failed"
    fi
    point current "$1"
    put_units "$1"
    [[ $starts == no ]] || start || fail "${1#releases/} does not run: journalctl -u $name"
    trap - EXIT
    point previous "$came_from"
    if [[ $starts == yes ]]; then
        say "${1#releases/} runs; before it ran ${came_from#releases/}"
    elif [[ $task == install ]]; then
        say "${1#releases/} is in place; the daemon did not run"
    else
        say "${1#releases/} is in place; the daemon did not run and is not started. Next, if" \
            "${came_from#releases/} had migrated the database: $name restore FILE, the backup of before." \
            "Then: systemctl start $name ${timers[*]}"
    fi
    [[ -z $backup ]] || service backup --carry "$backup" || say "$backup is good, and on this machine only"
}

come_back() {
    trap '' HUP INT TERM # a terminal that is gone, or an impatient owner, does not break this off
    trap - EXIT
    set +e
    can_run "$came_from" || stay
    say "going back to ${came_from#releases/}"
    stop
    if [[ -n $backup && $(database_version) != "$version" ]]; then
        point current "$came_from"
        if service restore "$backup"; then
            say "the database is the backup's: entries are paused until $name resume"
        else
            say "the restore failed: $name restore $backup, then systemctl start $name"
        fi
    fi
    point current "$came_from"
    put_units "$came_from"
    [[ $starts == yes ]] || fail "the old version is in place again, and not started"
    if start; then
        fail "the old version runs again"
    fi
    machine systemctl start "${timers[@]}" # systemd goes on trying, and the health check on telling
    fail "the old version does not start: journalctl -u $name; close what is open by: $name flatten --direct"
}

stay() { # there is nothing to go back to, so the new version is what may watch and what tells
    local gone="the version before cannot run any more: its Python or a library is gone"
    point current "$goes_to"
    put_units "$goes_to"
    [[ $starts == yes ]] || fail "$gone; the new version is in place, and not started"
    if start; then
        fail "$gone; the new version runs"
    fi
    machine systemctl start "${timers[@]}" # systemd goes on trying, and the health check on telling
    fail "$gone; journalctl -u $name; close what is open by: $name flatten --direct"
}

clear_out() { # releases that are neither current nor previous
    local each
    for each in "$home"/releases/*; do
        case releases/${each##*/} in
            "$(release_of current)" | "$(release_of previous)") ;;
            *) rm -rf -- "$each" ;;
        esac
    done
}

has_keys() { grep -Eq '^ *(export +)?ALPACA_API_KEY *= *["'\'']?[^"'\'' ]' "$settings"; }

install_it() {
    mkdir -p -- "${settings%/*}"
    make_account
    make_places
    make_release
    local old
    old=$(release_of current)
    if [[ $old == "$release" ]] && up; then
        put_units "$release"
        say "${release#releases/} runs already; after a change of the settings: systemctl restart $name"
    elif [[ -n $old && $old != "$release" ]]; then
        check_hours
        if running || enabled; then change_to "$release" yes; else change_to "$release" no; fi
    else
        [[ ! -e $home/started ]] || check_hours
        point current "$release"
        put_units "$release"
        [[ -n $old || ! -e $data/wsb_snake.db ]] || back_up || fail "the backup failed"
    fi
    first_start
    clear_out
}

# With keys it is enabled and started, once; later on an owner who has disabled it is obeyed.
first_start() {
    if up; then
        touch -- "$home/started"
        return
    fi
    if ! has_keys; then
        say "installed. Now put your keys into $settings, and run this again; it starts the daemon."
        return
    fi
    if [[ -e $home/started ]] && ! enabled; then
        say "the daemon is disabled and not started: systemctl enable --now $name ${timers[*]}"
        return
    fi
    machine systemctl enable --quiet "$name.service" "${timers[@]}"
    start || fail "it is installed and does not run: journalctl -u $name; $name doctor"
    touch -- "$home/started"
    say "$(release_of current) runs. Ask it: $name status; have it examined: $name doctor --telegram"
}

roll_back() {
    local old
    old=$(release_of previous)
    [[ -n $old && -e $home/$old/complete ]] || refuse "there is no version to go back to"
    can_run "$old" || refuse "the version before cannot run any more: its Python or a library is gone"
    check_hours
    if running; then
        change_to "$old" yes
    else
        change_to "$old" no # over a migration its start comes after the restore
    fi
}

uninstall() {
    check_hours
    [[ $purge == no ]] || confirm "Remove settings, data and backups for good?"
    machine systemctl disable --quiet --now "${timers[@]}" "$name.service" || true
    rm -f -- "${units[@]/#/$system/}" "$tmpfiles" "$command"
    machine systemctl daemon-reload
    rm -rf -- "$home"
    if [[ $purge == yes ]]; then
        if [[ -e $account_made ]]; then
            machine userdel "$name" || true
        elif has_account; then
            say "the account $name stays: it is not noted that the installer made it; userdel $name removes it"
        fi
        rm -rf -- "${settings%/*}" "$data" "$backups"
        say "removed, with settings, data and backups"
    else
        say "removed; $settings, $data and $backups stay (--purge removes them)"
    fi
}

check_machine
case $task in
    install) install_it ;;
    rollback) roll_back ;;
    uninstall) uninstall ;;
esac
