#!/usr/bin/env bash
# Backs the state up, also while the daemon runs; for cron and the nightly timer.
#
# It puts wsb_snake_YYYYMMDD_HHMM.db (the database, by SQLite's online backup), .json (the learnings) and
# .env (the configuration without secrets) into BACKUP_DIR, opens and checks the copy, keeps the newest
# WSB_SNAKE_BACKUPS_KEPT, and then runs BACKUP_COPY_COMMAND. Times in names are UTC.
#
# It prints one line. Exit codes:
#   0  done and verified
#   1  no new backup, or it could not be carried off; Telegram tells you as well
#   2  bad configuration, or the installation is missing
# In a crontab, mail on trouble only:
#   30 22 * * *  /path/to/script/backup_state.sh >/dev/null
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

python=.venv/bin/python
if [[ ! -x $python ]]; then
    echo "wsb-snake: $python is missing; make it with script/setup_venv.sh run" >&2
    exit 2
fi
exec "$python" main.py backup
