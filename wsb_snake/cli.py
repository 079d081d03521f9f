"""The command line: every command of the project."""

import argparse
import json
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import FrameType
from typing import Literal

from wsb_snake import __version__
from wsb_snake import cli_values as values
from wsb_snake.config import ConfigError, Settings, load
from wsb_snake.core import memory
from wsb_snake.core.clock import SystemClock
from wsb_snake.core.redaction import Redactor

EXIT_OK, EXIT_FAILED, EXIT_CONFIG = 0, 1, 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    parsed = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = parsed.command
    try:
        return command(parsed)
    except ConfigError as error:
        return _complain(str(error), EXIT_CONFIG)
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsb-snake", description="A 0DTE options daemon for one Alpaca account."
    )
    parser.add_argument("--version", action="version", version=f"wsb-snake {__version__}")
    commands = parser.add_subparsers(required=True, metavar="command")

    run = commands.add_parser("run", help="the daemon, in the foreground")
    run.set_defaults(command=_run)

    demo = commands.add_parser(
        "demo", help="one whole trading day on the embedded exchange; no keys, no internet"
    )
    demo.add_argument("--seed", type=int, default=7, help="which market (default 7)")
    demo.add_argument(
        "--seeds", type=values.span, metavar="FIRST-LAST", help="a day of each, and one sum of all"
    )
    demo.add_argument("--date", type=values.day, help="session, YYYY-MM-DD (default 2026-11-24)")
    demo.add_argument(
        "--data", type=Path, help="a folder of recorded chain days, in place of the seeded market"
    )
    demo.add_argument("--all-days", action="store_true", help="with --data: every day of the folder")
    demo.add_argument("--json", action="store_true", help="print the result as one JSON object, last")
    demo.add_argument("--in-process", action="store_true", help="without sockets and vendors' clients")
    demo.add_argument("--wire", action="store_true", help="in process, but through the vendors' clients")
    demo.set_defaults(command=_demo)

    campaign = commands.add_parser(
        "campaign", help="many seeded days among faults and crashes, the promises checked at each step"
    )
    campaign.add_argument("--days", type=values.count, default=20, help="how many days (default 20)")
    campaign.add_argument("--seed", type=int, default=1)
    campaign.add_argument("--faults", default="all", metavar="PROFILE", help="which faults (default all)")
    campaign.add_argument("--crashes", action="store_true", help="let the daemon die and come back as well")
    campaign.add_argument("--engines", action="store_true", help="the real engines on the seeded market")
    campaign.add_argument("--jobs", type=values.count, default=0, help="processes (default: one a core)")
    campaign.add_argument("--json", action="store_true", help="print the result as one JSON object, last")
    campaign.add_argument(
        "--replay", type=Path, metavar="FILE", help="run the day of a violation's file again"
    )
    campaign.set_defaults(command=_campaign)

    noise = commands.add_parser(
        "noise-area", help="the noise-area rule in shares on recorded bars, beside its published returns"
    )
    noise.add_argument(
        "--bars", type=Path, required=True, metavar="FILE", help="1-minute bars, .csv or .csv.gz"
    )
    noise.add_argument("--published", type=Path, required=True, metavar="FILE", help="monthly returns, .csv")
    noise.add_argument("--dividends", type=Path, required=True, metavar="FILE", help="by ex-date, .csv")
    noise.add_argument("--json", action="store_true", help="print the result as one JSON object, last")
    noise.set_defaults(command=_noise_area)

    exchange = commands.add_parser("exchange", help="the embedded exchange as its own process, in real time")
    exchange.add_argument("--port", type=values.port, default=18080, help="loopback port (default 18080)")
    exchange.add_argument(
        "--start-at", type=values.instant, help="what 'now' means, with offset (default: the real time)"
    )
    exchange.add_argument("--seed", type=int, default=7)
    exchange.add_argument("--data", type=Path, help="a folder of recorded chain days")
    exchange.add_argument(
        "--hold",
        action="append",
        default=[],
        metavar="SYMBOL=QTY@PRICE",
        help="a position from the start; repeatable",
    )
    exchange.set_defaults(command=_exchange)

    for verb, text in (
        ("halt", "no new entries until resume; open positions are watched and closed as usual"),
        ("resume", "end your own pause or halt; it lifts no other pause"),
    ):
        plain = commands.add_parser(verb, help=text)
        plain.set_defaults(command=_tell, verb=verb, argument=None)
    pause = commands.add_parser("pause", help="no new entries for so many minutes, or until resume")
    pause.add_argument("argument", nargs="?", metavar="MINUTES", help="default: until resume")
    pause.set_defaults(command=_tell, verb="pause")
    adopt = commands.add_parser("adopt", help="exits for what you bought by hand for a later day")
    adopt.add_argument("symbol", metavar="SYMBOL", help="the OCC symbol")
    adopt.add_argument(
        "kind", nargs="?", choices=("runner", "scalp"), default="runner", metavar="runner|scalp"
    )
    adopt.add_argument("--yes", action="store_true", help="it lets the rules of the daemon sell it")
    adopt.set_defaults(command=_adopt)
    status = commands.add_parser("status", help="what the running daemon says of itself")
    status.add_argument("--json", action="store_const", const="json", dest="argument", help="for programs")
    status.set_defaults(command=_tell, verb="status")
    why = commands.add_parser("why", help="why a signal was traded or not; needs no running daemon")
    why.add_argument("what", metavar="SIGNAL|TICKER", help="the name of a signal, or a ticker for its newest")
    why.add_argument("--json", action="store_true", help="for programs")
    why.set_defaults(command=_why)
    report = commands.add_parser("report", help="a day's trades and its journal; needs no running daemon")
    report.add_argument("--date", type=values.day, help="YYYY-MM-DD (default: the newest in the journal)")
    report.add_argument("--journal", action="store_true", help="every event of the day too: the audit trail")
    report.add_argument("--json", action="store_true", help="one JSON object, for programs")
    report.set_defaults(command=_report)
    _add_closing(commands)
    _add_keeping(commands)
    _add_service(commands)
    return parser


def _add_closing(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Verbs that cancel, sell or give something up."""
    flatten = commands.add_parser("flatten", help="close what expires today, or all, and wait for the proof")
    flatten.add_argument("scope", nargs="?", choices=("0dte", "all"), default="0dte", metavar="0dte|all")
    flatten.add_argument(
        "--direct", action="store_true", help="close at the broker when the daemon does not answer"
    )
    flatten.add_argument(
        "--wait",
        type=values.seconds,
        default=180.0,
        metavar="SECONDS",
        help="for the proof of flat (default 180)",
    )
    flatten.set_defaults(command=_flatten)
    for verb, text in (
        ("cancel", "call back open entries and foreign option orders; closing orders go on"),
        ("eod", "look at the end of day now, as the daemon does every minute"),
    ):
        plain = commands.add_parser(verb, help=text)
        plain.set_defaults(command=_tell, verb=verb, argument=None)
    close = commands.add_parser("close", help="close what is held in one contract or ticker")
    close.add_argument(
        "argument", metavar="SYMBOL", help="an OCC symbol, or a ticker for all that is held in it"
    )
    close.set_defaults(command=_tell, verb="close")
    dne = commands.add_parser("dne", help="tell Alpaca not to exercise a contract that expires today")
    dne.add_argument("argument", metavar="SYMBOL", help="the OCC symbol")
    dne.add_argument("--yes", action="store_true", help="it cannot be taken back")
    dne.set_defaults(command=_do_not_exercise)


def _add_keeping(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What keeps the state, and brings it back."""
    backup = commands.add_parser("backup", help="a verified copy of the state, also while the daemon runs")
    backup.add_argument("--carry", type=Path, metavar="FILE", help="only run BACKUP_COPY_COMMAND on it")
    backup.set_defaults(command=_backup)
    restore = commands.add_parser("restore", help="put a backup in place while no daemon runs")
    restore.add_argument("file", type=Path, metavar="FILE", help="the .db of a backup")
    restore.add_argument("--yes", action="store_true", help="also when it is of another account or mode")
    restore.set_defaults(command=_restore)


def _add_service(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """What the machine asks, and what is asked of the machine."""
    doctor = commands.add_parser("doctor", help="is all there that the daemon needs; sends no order")
    doctor.add_argument("--telegram", action="store_true", help="send a test message as well")
    doctor.set_defaults(command=_doctor)
    alert = commands.add_parser("alert-failure", help="tell by Telegram that a systemd unit failed")
    alert.add_argument("unit", metavar="UNIT[:RESULT]")
    alert.set_defaults(command=_alert_failure)


def _run(_: argparse.Namespace) -> int:
    settings = load()
    settings.require_keys()
    memory.hold()
    from wsb_snake.main import run  # only this command needs the vendors' clients

    return run(settings)


def _demo(asked: argparse.Namespace) -> int:
    from wsb_snake.backtest.driver import DEMO_DAY, DayPlan, Depth, DriverError, run_day
    from wsb_snake.backtest.progress import DayProgress
    from wsb_snake.backtest.summary import table
    from wsb_snake.sim.recorded import DataError

    if asked.seeds is not None or asked.all_days:
        return _many_days(asked)
    depth: Depth = "wire" if asked.wire else "port" if asked.in_process else "http"
    clock = SystemClock()
    day = asked.date or DEMO_DAY
    logging.basicConfig(level=logging.ERROR)
    began = clock.monotonic()
    progress = DayProgress()
    try:
        result = run_day(DayPlan(day, asked.seed, depth, asked.data), progress.show)
    except (DriverError, DataError) as error:
        return _complain(str(error), EXIT_CONFIG)
    finally:
        progress.end()
    print(table(result))
    if asked.json:
        print(json.dumps(result.as_json(asked.seed, clock.monotonic() - began)))
    return EXIT_OK if result.flat else EXIT_FAILED


def _many_days(asked: argparse.Namespace) -> int:
    """In process: what is asked of many days is their sum."""
    from wsb_snake.backtest import many_days
    from wsb_snake.backtest.driver import DriverError
    from wsb_snake.sim.recorded import DataError

    logging.basicConfig(level=logging.CRITICAL)
    depth: Literal["wire", "port"] = "wire" if asked.wire else "port"
    try:
        plans = many_days.plans(asked.seeds or (asked.seed,), asked.date, asked.data, asked.all_days, depth)
        result = many_days.run_days(plans, lambda line: sys.stderr.write(line + "\n"))
    except (DriverError, DataError) as error:
        return _complain(str(error), EXIT_CONFIG)
    print(many_days.table(result))
    if asked.json:
        print(json.dumps(result.as_json()))
    return EXIT_OK if result.ok else EXIT_FAILED


def _campaign(asked: argparse.Namespace) -> int:
    from wsb_snake.backtest.campaign.run import Campaign, CampaignError, hush, replay, run_campaign
    from wsb_snake.backtest.campaign.words import Progress, summary, violations

    hush()
    try:
        if asked.replay is not None:
            report = replay(asked.replay)
            print("\n".join(violations(report)) or "the day keeps every promise")
            return EXIT_FAILED if report.violations else EXIT_OK
        campaign = Campaign(
            asked.days, asked.seed, asked.faults, asked.crashes, asked.engines, asked.jobs, Path.cwd()
        )
        progress = Progress(asked.days)
        result = run_campaign(campaign, progress.show)
        progress.end()
    except CampaignError as error:
        return _complain(str(error), EXIT_CONFIG)
    print(summary(result))
    if asked.json:
        print(json.dumps(result))
    return EXIT_FAILED if result["shortcomings"] else EXIT_OK


def _noise_area(asked: argparse.Namespace) -> int:
    from wsb_snake.backtest.noise_area_files import FileError
    from wsb_snake.backtest.noise_area_report import reproduce, table

    try:
        report = reproduce(asked.bars, asked.published, asked.dividends)
    except FileError as error:
        return _complain(str(error), EXIT_CONFIG)
    print(table(report))
    if asked.json:
        print(json.dumps(report.as_json()))
    return EXIT_OK if report.reproduced else EXIT_FAILED


def _exchange(asked: argparse.Namespace) -> int:
    from wsb_snake.sim.service import parse_hold, run_exchange

    stop = threading.Event()

    def end(_: int, __: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    try:
        holds = [parse_hold(text) for text in asked.hold]
    except ValueError as error:
        return _complain(str(error), EXIT_CONFIG)
    return run_exchange(asked.port, asked.start_at, asked.seed, asked.data, holds, sys.stdout, stop)


def _why(asked: argparse.Namespace) -> int:
    from wsb_snake.owner.why import NothingKnown, why, why_text

    try:
        reasons = why(load().db_path, asked.what)
    except NothingKnown as error:
        return _complain(str(error), EXIT_FAILED)
    if asked.json:
        print(json.dumps({"signals": [each.as_json() for each in reasons.told], "more": reasons.more}))
    else:
        print(why_text(reasons))
    return EXIT_OK


def _report(asked: argparse.Namespace) -> int:
    from wsb_snake.owner.report import NothingToReport, report

    try:
        told = report(load().db_path, asked.date, journal=asked.journal)
    except NothingToReport as error:
        return _complain(str(error), EXIT_FAILED)
    print(json.dumps(told.as_json()) if asked.json else told.text())
    return EXIT_OK


def _tell(asked: argparse.Namespace) -> int:
    from wsb_snake.owner.control import DaemonUnreachable, send_command

    settings: Settings = load()
    try:
        answer = send_command(settings.data_dir / "control.sock", asked.verb, asked.argument)
    except DaemonUnreachable as error:
        return _complain(str(error), EXIT_FAILED)
    print(answer.text)
    return EXIT_OK if answer.ok else EXIT_FAILED


def _flatten(asked: argparse.Namespace) -> int:
    settings = load()
    if asked.direct:
        settings.require_keys()
    from wsb_snake.core import logs
    from wsb_snake.flatten import Asked, FlattenFailed, flatten

    logs.set_up(settings.secrets(), logging.ERROR)
    redact = Redactor(settings.secrets())
    try:
        return flatten(
            settings, Asked(asked.scope, asked.direct, asked.wait), lambda text: _say(redact(text))
        )
    except FlattenFailed as error:
        return _complain(redact(str(error)), error.code)


def _backup(asked: argparse.Namespace) -> int:
    from wsb_snake.core import logs
    from wsb_snake.keeping.nightly import carry, nightly

    settings = load()
    logs.set_up(settings.secrets(), logging.WARNING)
    told = nightly(settings, SystemClock()) if asked.carry is None else carry(settings, asked.carry)
    if told.ok:
        print(told.line)
    return EXIT_OK if told.ok else _complain(told.line, EXIT_FAILED)


def _restore(asked: argparse.Namespace) -> int:
    from wsb_snake.daemon_start import directory_lock
    from wsb_snake.keeping.restore import RestoreRefused, restore

    settings = load()
    try:
        done = restore(settings, asked.file, directory_lock(settings), SystemClock().now(), anyones=asked.yes)
    except RestoreRefused as error:
        return _complain(str(error), error.code)
    print("\n".join(done.lines()))
    return EXIT_OK


def _doctor(asked: argparse.Namespace) -> int:
    settings = load()
    from wsb_snake.doctor.examination import examine
    from wsb_snake.doctor.findings import worst

    logging.basicConfig(level=logging.CRITICAL)
    redacted, found = Redactor(settings.secrets()), []
    for finding in examine(settings, message=asked.telegram):
        _say(redacted(finding.line()))
        found.append(finding)
    return int(worst(found))


def _alert_failure(asked: argparse.Namespace) -> int:
    from wsb_snake.owner.failure_alert import alert_failure

    logging.basicConfig(level=logging.ERROR)
    why_not = alert_failure(asked.unit)
    return EXIT_OK if why_not is None else _complain(f"{asked.unit}: not told: {why_not}", EXIT_FAILED)


def _adopt(asked: argparse.Namespace) -> int:
    asked.argument = f"{asked.symbol} {asked.kind}"
    return _once_sure(asked, "adopt", "lets the rules of the daemon sell it")


def _do_not_exercise(asked: argparse.Namespace) -> int:
    return _once_sure(asked, "dne", "cannot be taken back")


def _once_sure(asked: argparse.Namespace, verb: str, what: str) -> int:
    command = f"{verb} {asked.argument}"
    if not asked.yes:
        return _complain(f"{command} {what}; if you mean it: {command} --yes", EXIT_CONFIG)
    asked.verb = verb
    return _tell(asked)


def _say(text: str) -> None:
    print(text, flush=True)


def _complain(text: str, code: int) -> int:
    sys.stderr.write(f"wsb-snake: {Redactor(())(text)}\n")  # an address in it may hold a password
    return code
