#!/usr/bin/env bash
# wsb-snake COMMAND: the command line of the installed service, as its account and with its settings.
set -euo pipefail

if [[ $EUID -ne 0 ]]; then
    exec sudo -- "$0" "$@"
fi
# The settings belong to root. Their copy lies in memory, only the service's account can read it.
credentials=$(mktemp -d /run/wsb-snake.XXXXXXXX)
trap 'rm -rf -- "$credentials"' EXIT
install -m 0400 -o wsb-snake -g wsb-snake /etc/wsb-snake/wsb-snake.env "$credentials/wsb-snake.env"
chown wsb-snake:wsb-snake "$credentials"
cd /opt/wsb-snake/current
code=0
runuser -u wsb-snake -- env CREDENTIALS_DIRECTORY="$credentials" TZ=UTC PYTHONDONTWRITEBYTECODE=1 \
    WSB_SNAKE_DATA_DIR=/var/lib/wsb-snake BACKUP_DIR=/var/backups/wsb-snake \
    .venv/bin/python main.py "$@" || code=$?
exit "$code"
