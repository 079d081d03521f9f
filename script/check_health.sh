#!/usr/bin/env bash
# Asks the daemon on this machine how it is, for cron and other monitoring.
#
# It prints one line. Exit codes, as Nagios has them:
#   0  healthy, or no session today (weekends and holidays are quiet, whatever the state)
#   1  degraded: entries are paused, a stream or the chat is down, data are stale
#   2  unhealthy, or nobody answers, or the session is over and the EOD close has not run today
#   3  what answers is not the daemon, or this check cannot run
#
# Host and port come from WSB_SNAKE_HTTP_HOST and WSB_SNAKE_HTTP_PORT in the environment or in .env.
# In a crontab, mail on trouble only:
#   */5 * * * 1-5  /path/to/script/check_health.sh >/tmp/wsb-health || cat /tmp/wsb-health
set -euo pipefail
unset CDPATH
cd -- "$(dirname -- "${BASH_SOURCE[0]}")/.."

python=.venv/bin/python
if [[ ! -x $python ]]; then
    echo "wsb-snake UNKNOWN: $python is missing; make it with script/setup_venv.sh run"
    exit 3
fi
code=0
line=$("$python" -m wsb_snake.owner.health_check 2>/dev/null) || code=$?
if [[ -z $line ]]; then
    echo "wsb-snake UNKNOWN: the check itself failed: $python -m wsb_snake.owner.health_check"
    exit 3
fi
echo "$line"
exit "$code"
