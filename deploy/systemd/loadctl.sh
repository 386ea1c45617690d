#!/bin/sh
# loadctl as the service knows it, installed as /usr/local/bin/loadctl. With sudo it runs as the service's user, with its
# secrets and its state, so that `sudo loadctl doctor`, `override` and `history` see what the service sees.
set -eu
program=/opt/loadctl/venv/bin/loadctl

[ "$(id -u)" -eq 0 ] || exec "$program" "$@"

# Exported and not passed as arguments, which `ps` would show. Never run as a script: a value may look like one.
if [ -r /etc/loadctl/secrets.env ]; then
    while IFS= read -r line || [ -n "$line" ]; do
        case $line in
            [A-Za-z_]*=*) ;;
            *) continue ;;
        esac
        name=${line%%=*}
        value=${line#*=}
        case $name in
            *[!A-Za-z0-9_]*) continue ;;
        esac
        case $value in
            \"*\") value=${value#\"} value=${value%\"} ;;
            \'*\') value=${value#\'} value=${value%\'} ;;
        esac
        export "$name=$value"
    done </etc/loadctl/secrets.env
fi
export XDG_STATE_HOME=/var/lib
exec runuser -u loadctl -- "$program" "$@"
