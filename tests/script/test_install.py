"""The installer, into a staging root: what is put where, what runs afterwards, and what stays."""

import re
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.script.staging import Staging, mode, stage

UNITS = {
    *("wsb-snake.service", "wsb-snake-alert@.service", "wsb-snake-backup.service"),
    *("wsb-snake-backup.timer", "wsb-snake-health.service", "wsb-snake-health.timer"),
}
BACKUP = "var/backups/wsb-snake/wsb_snake_20261124_2330.db"
TIMERS = "wsb-snake-backup.timer wsb-snake-health.timer"


@pytest.fixture
def machine(tmp_path: Path) -> Staging:
    return stage(tmp_path)


@pytest.fixture
def running(machine: Staging) -> Staging:
    """A machine on which the daemon runs, with a database of version 1."""
    assert machine.install().returncode == 0
    machine.give_keys()
    done = machine.install()
    assert done.returncode == 0 and machine.runs(), done.stderr
    with closing(sqlite3.connect(machine.root / "var/lib/wsb-snake/wsb_snake.db")) as conn:
        conn.execute("PRAGMA user_version = 1")
    machine.calls()
    return machine


def words(calls: list[str]) -> list[str]:
    """Calls without the release that was in place."""
    return [call.partition(" [")[0] for call in calls]


def version(machine: Staging) -> int:
    with closing(sqlite3.connect(machine.root / "var/lib/wsb-snake/wsb_snake.db")) as conn:
        found: int = conn.execute("PRAGMA user_version").fetchone()[0]
        return found


def test_a_first_installation_waits_for_the_keys(machine: Staging) -> None:
    done = machine.install()
    assert done.returncode == 0, done.stderr
    assert "put your keys into" in done.stdout and not machine.runs()
    assert {file.name for file in (machine.root / "etc/systemd/system").iterdir()} == UNITS
    assert mode(machine.settings) == "0o600" and mode(machine.settings.parent) == "0o700"
    assert mode(machine.root / "var/lib/wsb-snake") == mode(machine.root / "var/backups/wsb-snake") == "0o700"
    assert machine.settings.read_text() == (machine.checkout / ".env.example").read_text()
    assert (machine.in_("current") / ".venv/bin/python").exists()
    assert mode(machine.root / "usr/local/bin/wsb-snake") == "0o755"
    calls = words(machine.calls())
    assert any(call.startswith("useradd --system") and call.endswith("wsb-snake") for call in calls)
    assert not any("start" in call or "enable" in call for call in calls)


def test_a_python_that_the_service_cannot_see_is_refused(machine: Staging) -> None:
    machine.put_tool(
        machine.bin / "readlink",
        '#!/bin/bash\n[[ $1 != -f ]] || exec echo /home/me/python\nexec /usr/bin/readlink "$@"\n',
    )
    done = machine.install()
    assert done.returncode == 2 and "PYTHON=/usr/bin/python3" in done.stderr
    assert not (machine.root / "opt/wsb-snake/current").exists()


def test_with_keys_the_second_run_starts_and_the_third_changes_nothing(machine: Staging) -> None:
    machine.install()
    machine.give_keys()
    settings = machine.settings.read_text()
    machine.calls()
    assert machine.install().returncode == 0
    calls = [call for call in words(machine.calls()) if " show " not in call and " is-" not in call]
    assert calls[-3:] == [
        f"systemctl enable --quiet wsb-snake.service {TIMERS}",
        "systemctl start wsb-snake.service",
        f"systemctl start {TIMERS}",
    ]
    release = machine.in_("current")
    again = machine.install()
    assert again.returncode == 0 and "runs already" in again.stdout
    assert not any(word in call for call in words(machine.calls()) for word in (" stop ", " start "))
    assert machine.in_("current") == release and machine.settings.read_text() == settings


def test_the_settings_of_a_checkout_are_taken_over_and_read_by_nobody_else(machine: Staging) -> None:
    (machine.checkout / ".env").write_text("ALPACA_API_KEY=marked\n")
    assert machine.install().returncode == 0
    assert machine.settings.read_text() == "ALPACA_API_KEY=marked\n"
    assert mode(machine.settings) == "0o600" and machine.runs()
    assert not [
        file
        for file in (machine.root / "opt").rglob("*")
        if file.is_file() and not file.is_symlink() and "marked" in file.read_text(errors="replace")
    ]


def test_an_upgrade_stops_backs_up_changes_and_starts_in_that_order(running: Staging) -> None:
    old = running.in_("current")
    running.change("new")
    done = running.install()
    assert done.returncode == 0, done.stderr
    new = running.in_("current")
    assert new != old and (new / "wsb_snake/new").exists() and running.in_("previous") == old
    acts = [call for call in running.calls() if re.search(" (start|stop|backup) ", call)]
    assert acts == [
        f"systemctl stop {TIMERS} wsb-snake.service [{old.name}]",
        f"wsb-snake backup [{old.name}]",
        f"systemctl start wsb-snake.service [{new.name}]",
        f"systemctl start {TIMERS} [{new.name}]",
        f"wsb-snake backup --carry {running.root / BACKUP} [{new.name}]",
    ]


@pytest.mark.parametrize("trouble", ["carry-fails", "old-one-stays"])
def test_a_verified_backup_is_enough_for_an_upgrade(running: Staging, trouble: str) -> None:
    old = running.in_("current")
    (running.root / "notes" / trouble).touch()
    running.change("new")
    assert running.install().returncode == 0
    assert running.in_("current") != old and running.runs()


def test_what_only_does_not_run_at_the_moment_is_upgraded_with_a_way_back(running: Staging) -> None:
    old = running.in_("current")
    running.stands(enabled=True)
    for name in ("migrates", "broken"):
        running.change(name)
    running.clock("3:1200")
    assert running.install(answer="n\n").returncode == 2 and running.in_("current") == old
    done = running.install(answer="y\n")
    assert done.returncode == 1 and "and it trades" in done.stdout
    assert "the old version runs again" in done.stderr and running.in_("current") == old
    assert f"wsb-snake restore {running.root / BACKUP}" in words(running.calls())


def test_what_the_owner_has_disabled_is_backed_up_and_not_started(running: Staging) -> None:
    running.stands(enabled=False)
    running.clock("3:1200")
    running.change("new")
    for backed_up in (True, False):
        assert running.install().returncode == 0
        calls = words(running.calls())
        assert not running.runs() and not any(" enable " in call or " start " in call for call in calls)
        assert not any(TIMERS in call for call in calls), "they stay as they are"
        assert ("wsb-snake backup" in calls) is backed_up


def test_data_of_a_version_that_is_gone_are_backed_up_before_the_start(running: Staging) -> None:
    running.install("--uninstall")
    running.calls()
    assert running.install().returncode == 0 and running.runs()
    calls = words(running.calls())
    assert calls.index("wsb-snake backup") < calls.index("systemctl start wsb-snake.service")


def test_two_versions_stay_and_older_ones_go(running: Staging) -> None:
    for name in ("second", "third", "fourth"):
        running.change(name)
        assert running.install().returncode == 0
    kept = {file.name for file in (running.root / "opt/wsb-snake/releases").iterdir()}
    assert kept == {running.in_("current").name, running.in_("previous").name}


@pytest.mark.parametrize("fault", ["broken", "refused", "dies"])
def test_a_version_that_does_not_start_and_stay_gives_way_to_the_old_one(
    running: Staging, fault: str
) -> None:
    old = running.in_("current")
    running.change(fault)
    done = running.install()
    assert done.returncode == 1 and "the old version runs again" in done.stderr
    assert running.in_("current") == old and running.runs()
    assert not any(call.startswith("wsb-snake restore") for call in running.calls())
    assert version(running) == 1


def test_a_terminal_that_is_gone_does_not_break_the_way_back_off(running: Staging) -> None:
    old = running.in_("current")
    running.change("broken")
    assert running.install_unheard() == 1
    assert running.in_("current") == old and running.runs()


def test_a_migrated_database_goes_back_to_the_backup(running: Staging) -> None:
    old = running.in_("current")
    running.change("migrates")
    running.change("broken")
    (running.root / BACKUP).with_name("wsb_snake_20991231_0000.db").touch()  # made under a wrong clock
    done = running.install()
    assert done.returncode == 1 and "entries are paused until wsb-snake resume" in done.stdout
    assert running.in_("current") == old and running.runs()
    backup = running.root / BACKUP
    calls = words(running.calls())
    assert calls.index(f"wsb-snake restore {backup}") < len(calls) - 1 - calls[::-1].index(
        "systemctl start wsb-snake.service"
    )


def test_without_a_backup_nothing_is_changed(running: Staging) -> None:
    old = running.in_("current")
    (running.root / "notes/backup-fails").touch()
    running.change("new")
    done = running.install()
    assert done.returncode == 1 and "the backup failed" in done.stderr
    assert running.in_("current") == old and running.runs()


def test_the_way_back_of_what_did_not_run_leaves_the_timers_as_they_are(running: Staging) -> None:
    running.stands(enabled=False)
    (running.root / "notes/backup-fails").touch()
    running.change("new")
    running.calls()
    done = running.install()
    assert done.returncode == 1 and "and not started" in done.stderr and not running.runs()
    assert not any(TIMERS in call for call in running.calls())


def test_where_no_version_starts_the_health_check_still_tells(running: Staging) -> None:
    (running.in_("current") / "wsb_snake/broken").touch()
    running.change("broken")
    done = running.install()
    assert done.returncode == 1 and "the old version does not start" in done.stderr
    assert words(running.calls())[-1] == f"systemctl start {TIMERS}"


def test_a_rollback_goes_back_to_the_version_before(running: Staging) -> None:
    old = running.in_("current")
    running.change("new")
    running.install()
    new = running.in_("current")
    assert running.install("--rollback").returncode == 0
    assert running.in_("current") == old and running.in_("previous") == new and running.runs()


@pytest.mark.parametrize("backs_up", [True, False])
def test_a_rollback_of_a_daemon_that_dies_again_and_again_starts_the_older_one(
    running: Staging, backs_up: bool
) -> None:
    """At once: nobody watches anyhow."""
    old = running.in_("current")
    running.change("new")
    running.install()
    running.crashes()
    running.clock("3:1556")
    if not backs_up:
        (running.root / "notes/backup-fails").touch()
    running.calls()
    done = running.install("--rollback")
    assert done.returncode == 0 and running.in_("current") == old and running.runs(), done.stderr
    assert f"systemctl start {TIMERS}" in words(running.calls())


def test_a_rollback_of_a_daemon_that_stands_starts_nothing(running: Staging) -> None:
    """Over a migration the restore comes first."""
    old = running.in_("current")
    running.change("new")
    running.install()
    running.stands(enabled=True)
    running.clock("3:1200")
    (running.root / "notes/backup-fails").touch()
    running.calls()
    done = running.install("--rollback")
    assert (done.returncode, done.stderr) == (0, "") and "the daemon did not run" in done.stdout
    assert "wsb-snake restore FILE" in done.stdout and f"systemctl start wsb-snake {TIMERS}" in done.stdout
    assert running.in_("current") == old and not running.runs()
    assert not any(TIMERS in call for call in running.calls())


def test_there_is_nothing_to_roll_back_after_the_first(running: Staging) -> None:
    done = running.install("--rollback")
    assert done.returncode == 2 and running.runs()
    assert done.stderr == "wsb-snake: there is no version to go back to\n"


@pytest.mark.parametrize("now", ["1:0930", "5:1559", "3:1200"])
def test_in_market_hours_it_asks_and_does_nothing_without_a_yes(running: Staging, now: str) -> None:
    running.clock(now)
    running.change("new")
    old = running.in_("current")
    done = running.install(answer="n\n")
    assert done.returncode == 2 and "the market may be open" in done.stdout
    assert running.in_("current") == old and not any(" stop " in call for call in running.calls())
    assert running.install(answer="y\n").returncode == 0
    assert running.in_("current") != old


@pytest.mark.parametrize("now", ["1:0929", "5:1600", "6:1200", "7:1200"])
def test_outside_market_hours_it_does_not_ask(running: Staging, now: str) -> None:
    running.clock(now)
    running.change("new")
    done = running.install()
    assert done.returncode == 0 and "WARNING" not in done.stdout


def test_yes_warns_and_goes_on(running: Staging) -> None:
    running.clock("2:1100")
    running.change("new")
    done = running.install("--yes")
    assert done.returncode == 0 and "WARNING" in done.stdout


def test_uninstalling_keeps_settings_data_and_backups(running: Staging) -> None:
    assert running.install("--uninstall").returncode == 0
    assert not running.runs() and not (running.root / "opt/wsb-snake").exists()
    assert not list((running.root / "etc/systemd/system").iterdir())
    assert not (running.root / "usr/local/bin/wsb-snake").exists()
    assert running.settings.exists() and (running.root / "var/lib/wsb-snake/wsb_snake.db").exists()
    assert running.install().returncode == 0 and running.runs()


@pytest.mark.parametrize("sure", [True, False])
def test_a_purge_removes_everything_once_confirmed(running: Staging, sure: bool) -> None:
    done = running.install("--uninstall", "--purge", answer="y\n" if sure else "\n")
    assert done.returncode == (0 if sure else 2)
    assert running.settings.exists() is not sure
    assert (running.root / "var/lib/wsb-snake").exists() is not sure
    assert running.runs() is not sure


@pytest.mark.parametrize("ours", [True, False])
def test_a_purge_leaves_an_account_that_was_there_before(machine: Staging, ours: bool) -> None:
    if not ours:
        machine.put_tool(machine.root / "etc/passwd", "wsb-snake:x:990:990::/srv/mine:/bin/bash\n")
    for arguments in ((), (), ("--uninstall",), ()):
        assert machine.install(*arguments).returncode == 0
    assert len([call for call in machine.calls() if call.startswith("useradd ")]) == ours
    done = machine.install("--uninstall", "--purge", "--yes")
    assert done.returncode == 0
    assert ("userdel wsb-snake" in words(machine.calls())) is ours
    assert ("it is not noted that the installer made it; userdel wsb-snake" in done.stdout) is not ours


@pytest.mark.parametrize("state", ["runs", "stands"])
def test_run_again_it_mends_a_version_whose_python_is_gone(running: Staging, state: str) -> None:
    if state == "stands":
        running.stands(enabled=True)
    running.lose_python()
    lost = running.in_("current")
    done = running.install()
    assert (done.returncode, running.runs()) == (0, True), done.stderr
    mended = running.in_("current")
    assert mended != lost and (mended / ".venv/bin/python").exists()
    calls = running.calls()
    assert f"wsb-snake backup [{mended.name}]" in calls, "the other program can no longer"
    assert f"systemctl start wsb-snake.service [{mended.name}]" in calls
    again = running.install()
    assert "runs already" in again.stdout and running.in_("current") == mended
    back = running.install("--rollback")
    assert back.returncode == 2 and "cannot run any more" in back.stderr and running.runs()


def test_there_is_no_way_back_to_a_version_whose_python_is_gone(running: Staging) -> None:
    running.lose_python()
    running.change("broken")
    done = running.install()
    assert done.returncode == 1 and "cannot run any more" in done.stderr
    new = running.in_("current")
    assert (new / "wsb_snake/broken").exists(), "its commands work"
    calls = running.calls()
    assert calls[-2:] == [f"systemctl start {each} [{new.name}]" for each in ("wsb-snake.service", TIMERS)]
    (running.checkout / "wsb_snake/broken").unlink()
    assert running.install().returncode == 0
    assert running.in_("current") != new and running.runs()


def test_no_failed_backup_leaves_a_daemon_stopped_whose_version_is_dead(running: Staging) -> None:
    running.lose_python()
    lost = running.in_("current")
    (running.root / "notes/backup-fails").touch()
    done = running.install()
    assert done.returncode == 0 and "no space" in done.stdout, done.stderr
    new = running.in_("current")
    assert new != lost and running.runs()
    assert f"systemctl start {TIMERS} [{new.name}]" in running.calls()


def test_what_breaks_off_after_the_dead_version_was_stopped_starts_the_new_one(running: Staging) -> None:
    """Nobody would watch and nobody would tell."""
    running.lose_python()
    (running.root / "var/lib/wsb-snake/wsb_snake.db").write_bytes(b"no database, however long it may be read")
    done = running.install()
    assert done.returncode == 1 and "the new version runs" in done.stderr
    new = running.in_("current")
    assert running.runs() and f"systemctl start {TIMERS} [{new.name}]" in running.calls()


def test_what_broke_off_half_way_is_done_anew(running: Staging) -> None:
    old = running.in_("current")
    running.change("new")
    fails = running.root / "notes/pip-fails"
    fails.touch()
    assert running.install().returncode != 0
    assert running.in_("current") == old and running.runs()
    fails.unlink()
    assert running.install().returncode == 0
    assert running.in_("current") != old and running.runs()


def test_relative_paths_are_those_of_whoever_calls(machine: Staging) -> None:
    machine.put_tool(machine.root.parent / "tools/python", (machine.bin / "python3").read_text())
    machine.put_tool(machine.bin / "python3", "#!/bin/bash\nexit 1\n")
    done = machine.install(cwd=machine.root.parent / "tools", PYTHON="./python")
    assert done.returncode == 0, done.stderr
    used = machine.in_("current") / ".venv/bin/python"
    assert used.read_bytes() == (machine.root.parent / "tools/python").read_bytes()
    assert not (machine.checkout / "root").exists()
    told = machine.install("--help", cwd=machine.root.parent / "tools")
    assert told.returncode == 0 and "--uninstall" in told.stdout


@pytest.mark.parametrize("wrong", [("--purge",), ("--what",)])
def test_what_it_does_not_understand_changes_nothing(machine: Staging, wrong: tuple[str, ...]) -> None:
    done = machine.install(*wrong)
    assert done.returncode == 2 and done.stderr.count("\n") == 1
    assert not (machine.root / "opt").exists()


def test_help_shows_how_it_is_used(machine: Staging) -> None:
    done = machine.install("--help")
    assert done.returncode == 0 and "--uninstall" in done.stdout and "set -euo" not in done.stdout
