"""The daemon whose monitor stops passing while the file ``freeze`` lies in the data directory: an entry
script of the tests."""

import sys
import threading
from datetime import datetime
from unittest import mock

from wsb_snake.cli import main
from wsb_snake.config import load
from wsb_snake.daemon import Daemon


def start() -> int:
    freeze = load(env_file=None).data_dir / "freeze"
    pass_once = Daemon.monitor_once

    def monitor_once(daemon: Daemon) -> datetime | None:
        if freeze.exists():
            threading.Event().wait()
        return pass_once(daemon)

    with mock.patch.object(Daemon, "monitor_once", monitor_once):
        return main(["run"])


if __name__ == "__main__":
    sys.exit(start())
