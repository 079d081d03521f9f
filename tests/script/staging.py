"""A staging root in the place of a machine: stand-ins for systemd, accounts and Python, which take notes."""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from tests.source_rules import ROOT

PYTHON = """#!/bin/bash
# Stands for an interpreter: makes venvs of itself; what is not about one is the real one's.
case "$*" in
    *"import venv"* | *"import pip"* | *"sys.version_info"*) exit 0 ;;
    "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;
    "-m pip"*) test ! -e {root}/notes/pip-fails; exit ;;
    "-m compileall"*) exit 0 ;;
esac
exec {real} "$@"
"""

SYSTEMCTL = """#!/bin/bash
# Notes what it is asked; the daemon runs while the file ``runs`` is there, and is tried while ``tried`` is.
notes={root}/notes
here=$(readlink {root}/opt/wsb-snake/current)
echo "systemctl $* [${{here#releases/}}]" >>$notes/calls
case "$*" in
    "--quiet is-active wsb-snake.service") test -e $notes/runs; exit ;;
    "--quiet is-enabled wsb-snake.service") test -e $notes/enabled; exit ;;
    "show --property ActiveState --value wsb-snake.service")
        if [[ -e $notes/runs ]]; then echo active
        elif [[ -e $notes/tried ]]; then echo activating
        else echo inactive; fi
        exit ;;
    "show --property NRestarts --value wsb-snake.service")
        code={root}/opt/wsb-snake/current/wsb_snake
        test ! -e $code/refused || rm -f $notes/runs
        echo 3
        test ! -e $code/dies || echo again >>$notes/deaths
        cat $notes/deaths 2>/dev/null; exit ;;
    "enable "*) touch $notes/enabled; exit ;;
    "start wsb-snake.service")
        if [[ -e {root}/opt/wsb-snake/current/wsb_snake/migrates ]]; then
            db={root}/var/lib/wsb-snake/wsb_snake.db
            {real} -c "import sqlite3; sqlite3.connect('$db').execute('PRAGMA user_version = 2')"
        fi
        rm -f $notes/tried
        test ! -e {root}/opt/wsb-snake/current/wsb_snake/broken || exit 1
        touch $notes/runs; exit ;;
    "stop "*wsb-snake.service) rm -f $notes/runs $notes/tried; exit ;;
    "disable "*) rm -f $notes/runs $notes/tried $notes/enabled; exit ;;
esac
"""

USERADD = """#!/bin/bash
echo "useradd $*" >>{root}/notes/calls
mkdir -p {root}/etc
echo "${{@: -1}}:x:990:990::/var/lib/wsb-snake:/usr/sbin/nologin" >>{root}/etc/passwd
"""

NOTER = """#!/bin/bash
echo "$(basename "$0") $*" >>{root}/notes/calls
"""

PROGRAM = """#!/bin/bash
# Stands for the command of the service.
notes={root}/notes
here=$(readlink {root}/opt/wsb-snake/current)
echo "wsb-snake $* [${{here#releases/}}]" >>$notes/calls
made={root}/var/backups/wsb-snake/wsb_snake_20261124_2330.db
case "$*" in
    "backup --carry $made")
        test ! -e $notes/carry-fails || {{ echo "wsb-snake: backup $made; it failed" >&2; exit 1; }} ;;
    backup)
        test -z "${{BACKUP_COPY_COMMAND-its own}}" || {{ echo "copies while nobody watches" >&2; exit 9; }}
        test ! -e $notes/backup-fails || {{ echo "wsb-snake: backup failed: no space" >&2; exit 1; }}
        touch "$made"
        test ! -e $notes/old-one-stays || {{ echo "wsb-snake: backup $made: 0.1 MB; old" >&2; exit 1; }}
        echo "backup $made: 0.1 MB, 7 rows, verified; 1 kept" ;;
esac
"""

DATE = """#!/bin/bash
# What New York's clock shows, as the installer asks for it.
echo "{now}"
"""


@dataclass(frozen=True)
class Staging:
    """``checkout`` is what is installed, ``root`` stands for ``/``."""

    checkout: Path
    root: Path
    bin: Path

    def install(
        self, *arguments: str, answer: str = "", cwd: str | Path = "/", **environment: str
    ) -> subprocess.CompletedProcess[str]:
        """Called in ``cwd``, where that is given by relative paths."""
        paths = [self.checkout / "script" / "install.sh", self.root]
        script, root = paths if cwd == "/" else [os.path.relpath(path, cwd) for path in paths]
        return subprocess.run(
            [script, "--root", root, *arguments],
            env={"PATH": f"{self.bin}:/usr/bin:/bin", "TZ": "Pacific/Auckland", **environment},
            cwd=cwd,
            input=answer,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def install_unheard(self) -> int:
        """As over a connection that broke: nobody reads what it says. The exit code."""
        unread, output = os.pipe()
        os.close(unread)
        try:
            return subprocess.run(
                [self.checkout / "script" / "install.sh", "--root", self.root],
                env={"PATH": f"{self.bin}:/usr/bin:/bin", "TZ": "Pacific/Auckland"},
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                timeout=60,
                check=False,
            ).returncode
        finally:
            os.close(output)

    @property
    def settings(self) -> Path:
        return self.root / "etc/wsb-snake/wsb-snake.env"

    def in_(self, name: str) -> Path:
        """The release under the name ``current`` or ``previous``."""
        return (self.root / "opt/wsb-snake" / name).resolve()

    def calls(self) -> list[str]:
        """What was asked of the machine since the last time, with the release in place then."""
        notes = self.root / "notes/calls"
        told = notes.read_text().splitlines() if notes.exists() else []
        notes.unlink(missing_ok=True)
        return told

    def lose_python(self) -> None:
        """What is installed has no interpreter any more, as after an upgrade of the distribution."""
        for file in (self.root / "opt/wsb-snake/releases").glob("*/.venv/bin/python"):
            file.unlink()
            file.symlink_to("/usr/bin/python3.of-before")

    def runs(self) -> bool:
        return (self.root / "notes/runs").exists()

    def stands(self, *, enabled: bool) -> None:
        """The daemon does not run, as after a stop."""
        (self.root / "notes/runs").unlink()
        if not enabled:
            (self.root / "notes/enabled").unlink()

    def crashes(self) -> None:
        """The daemon dies after each start, and is between two of them."""
        (self.root / "notes/runs").rename(self.root / "notes/tried")

    def give_keys(self) -> None:
        with self.settings.open("a") as file:
            file.write("ALPACA_API_KEY=a-key\nALPACA_SECRET_KEY=a-secret\n")

    def change(self, name: str) -> None:
        """Make another version of the checkout, which holds the file ``name``."""
        (self.checkout / "wsb_snake" / name).write_text("other\n")

    def clock(self, day_and_time: str) -> None:
        self.put_tool(self.bin / "date", DATE.format(now=day_and_time))

    def put_tool(self, place: Path, text: str) -> None:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o755)


def stage(folder: Path) -> Staging:
    """A small checkout and an empty machine, in the evening."""
    made = Staging(folder / "a checkout", folder / "root", folder / "bin")
    shutil.copytree(ROOT / "script", made.checkout / "script", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "requirements.txt", "requirements-dev.txt", ".env.example", "main.py"):
        shutil.copy(ROOT / name, made.checkout)
    (made.checkout / "wsb_snake").mkdir()
    (made.checkout / "wsb_snake/__init__.py").write_text("")
    (made.root / "notes").mkdir(parents=True)
    facts = {"root": made.root, "real": sys.executable}
    made.put_tool(made.bin / "python3", PYTHON.format(**facts))
    made.put_tool(made.root / "usr/bin/systemctl", SYSTEMCTL.format(**facts))
    made.put_tool(made.root / "usr/bin/useradd", USERADD.format(**facts))
    for tool in ("userdel", "systemd-tmpfiles"):
        made.put_tool(made.root / "usr/bin" / tool, NOTER.format(**facts))
    made.put_tool(made.root / "usr/bin/wsb-snake", PROGRAM.format(**facts))
    made.put_tool(made.bin / "sleep", "#!/bin/bash\n")
    made.clock("2:1830")
    return made


def mode(path: Path) -> str:
    return oct(path.stat().st_mode & 0o777)
