#!/bin/sh
# Install loadctl as a service on a Raspberry Pi or any Linux with systemd. Running it again upgrades and repairs.
set -eu
umask 022

usage() {
    cat <<'USAGE'
Usage: install.sh [options]
  --from SOURCE    what to install: a wheel, an sdist, a folder with the source, or a name pip knows
                   (default: the source that this script lies in, else `loadctl` from PyPI)
  --python PYTHON  the Python to use, 3.11 or newer (default: python3)
  --root DIR       install below DIR and leave the machine alone: no user, no service (also: DESTDIR=DIR)
  --skip-pip       make no virtual environment; you have one in /opt/loadctl/venv already
  --no-start       do not start or restart the service
  --dry-run        print what would be done, do nothing
  --uninstall      stop the service (every load goes to its safe state) and remove the program; rules and history stay
  --purge          with --uninstall: remove the rules, the secrets, the history and the user too
USAGE
}

here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
source=
python=python3
root=${DESTDIR:-}
skip_pip=
no_start=
dry_run=
uninstall=
purge=

say() { printf '%s\n' "$*"; }
warn() { printf 'install.sh: %s\n' "$*" >&2; }
die() { warn "$*"; exit 1; }

# Run a command, or print it in a dry run.
run() {
    if [ -n "$dry_run" ]; then
        say "would run: $*"
        return
    fi
    "$@"
}

while [ $# -gt 0 ]; do
    case $1 in
        --from | --python | --root)
            [ $# -ge 2 ] || die "$1 needs a value; see --help"
            case $1 in
                --from) source=$2 ;;
                --python) python=$2 ;;
                --root) root=$2 ;;
            esac
            shift
            ;;
        --skip-pip) skip_pip=yes ;;
        --no-start) no_start=yes ;;
        --dry-run) dry_run=yes ;;
        --uninstall) uninstall=yes ;;
        --purge) purge=yes ;;
        -h | --help) usage; exit 0 ;;
        *) die "unknown option $1; see --help" ;;
    esac
    shift
done

case $root in
    '' | /) root= ;;
    /*) root=${root%/} ;;
    *) root=$PWD/${root%/} ;;
esac
[ -z "$purge" ] || [ -n "$uninstall" ] || die "--purge goes with --uninstall"

opt=$root/opt/loadctl
venv=$opt/venv
etc=$root/etc/loadctl
state=$root/var/lib/loadctl
unit=$root/etc/systemd/system/loadctl.service
command=$root/usr/local/bin/loadctl

# The real machine, as opposed to a folder to install into.
live() { [ -z "$root" ]; }
ours() { grep -qsF /opt/loadctl/venv/bin/loadctl "$command"; }
has_user() { getent passwd loadctl >/dev/null; }
has_systemd() { live && [ -d /run/systemd/system ]; }

if live && [ -z "$dry_run" ] && [ "$(id -u)" -ne 0 ]; then
    die "must be root: sudo $0 (or try --dry-run, or --root DIR)"
fi

check_python() {
    command -v "$python" >/dev/null || die "no $python here: apt install python3 python3-venv, or name one with --python"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$("$python" --version) is too old, 3.11 or newer is needed: name another with --python"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        die "this Python cannot make virtual environments: apt install python3-venv"
}

make_user() {
    live || return 0
    getent group gpio >/dev/null || run groupadd --system gpio
    if ! has_user; then
        run useradd --system --user-group --groups gpio --home-dir /var/lib/loadctl --no-create-home \
            --shell /usr/sbin/nologin loadctl
        return
    fi
    case " $(id -nG loadctl) " in
        *' gpio '*) ;;
        *) run usermod --append --groups gpio loadctl ;;
    esac
}

install_program() {
    run mkdir -p "$opt"
    run install -m 0644 "$here/README.md" "$opt/README.md"
    run install -m 0755 "$here/systemd/loadctl.sh" "$opt/loadctl"
    [ -z "$skip_pip" ] || return 0
    if [ -z "$source" ]; then
        source=loadctl
        [ ! -f "$here/../pyproject.toml" ] || source=$(dirname -- "$here")
    fi
    if ! "$venv/bin/python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
        run "$python" -m venv --clear "$venv"
    fi
    run "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-input --upgrade "$source"
}

# own FILE MODE: for root to write and for loadctl to read.
own() {
    run chmod "$2" "$1"
    live || return 0
    run chown root:loadctl "$1"
}

install_rules() {
    run mkdir -p "$etc"
    own "$etc" 0750
    if [ ! -e "$etc/home.yaml" ]; then
        run cp "$here/home.example.yaml" "$etc/home.yaml"
    fi
    own "$etc/home.yaml" 0640
    if [ ! -e "$etc/secrets.env" ]; then
        run cp "$here/secrets.example.env" "$etc/secrets.env"
    fi
    own "$etc/secrets.env" 0640
}

install_service() {
    run mkdir -p "$(dirname -- "$unit")" "$(dirname -- "$command")"
    run install -m 0644 "$here/systemd/loadctl.service" "$unit"
    if [ -e "$command" ] && ! ours; then
        warn "$command is not ours and stays; ours is $opt/loadctl"
    else
        run install -m 0755 "$here/systemd/loadctl.sh" "$command"
    fi
    if ! has_systemd; then
        say "systemd does not run here: the service is in place, nothing was enabled or started"
        return
    fi
    run systemctl daemon-reload
    run systemctl enable --quiet loadctl.service
}

start_service() {
    has_systemd || return 0
    if [ -n "$no_start" ]; then
        say "not started, as asked"
        return
    fi
    if [ -n "$dry_run" ]; then
        say "would run: $opt/loadctl check --secrets $etc/home.yaml; if it finds no fault: systemctl restart loadctl.service"
        return
    fi
    if cmp -s "$here/home.example.yaml" "$etc/home.yaml"; then
        say "Not started yet: $etc/home.yaml is still the example. Write your home and your secrets there, then:"
        say "    sudo $0"
        return
    fi
    if ! "$opt/loadctl" check --secrets "$etc/home.yaml"; then
        warn "not (re)started: mend the lines above in $etc/home.yaml or $etc/secrets.env, then run this again"
        return 1
    fi
    systemctl restart loadctl.service || die "the service does not start: journalctl -u loadctl -n 50"
    say "loadctl runs: journalctl -fu loadctl"
}

remove() {
    if has_systemd && [ -e "$unit" ]; then
        # Stopping puts the loads in their safe state. Who removes the program before that leaves a heater on.
        run systemctl disable --quiet --now loadctl.service
    fi
    run rm -f "$unit"
    if has_systemd; then
        run systemctl daemon-reload
    fi
    if ours; then
        run rm -f "$command"
    fi
    run rm -rf "$opt"
    if [ -z "$purge" ]; then
        say "Rules in $etc and history in $state stay; --uninstall --purge removes them."
        return
    fi
    run rm -rf "$etc" "$state"
    if live && has_user; then
        run userdel loadctl
    fi
}

if [ -n "$uninstall" ]; then
    remove
    exit 0
fi
[ -n "$skip_pip" ] || check_python
make_user
install_program
install_rules
install_service
start_service
