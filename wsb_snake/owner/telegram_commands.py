"""The commands of the chat: what they are called, what they do, and how a message becomes one. Pure."""

from dataclasses import dataclass

from wsb_snake.owner.commands import Verb


@dataclass(frozen=True, slots=True)
class Command:
    """``usage``: its arguments as /help shows them. ``verb``: what it asks of the daemon, if anything."""

    name: str
    usage: str
    does: str
    verb: Verb | None = None
    confirmed: bool = False

    @property
    def line(self) -> str:
        return f"/{self.name}{' ' if self.usage else ''}{self.usage}: {self.does}"


COMMANDS = (
    Command("status", "", "everything at a glance"),
    Command("positions", "", "what is held, with its P&L"),
    Command("position", "<symbol>", "one position, with the way to target and stop"),
    Command("orders", "[n]", "today's orders, the newest first"),
    Command("trades", "[n]", "the last closed trades"),
    Command("daily", "[n]", "the last days"),
    Command("weekly", "[n]", "the last weeks"),
    Command("profit", "", "today, 7 days, 30 days and all time"),
    Command("performance", "", "all trades by engine and by exit reason"),
    Command("balance", "", "equity, cash and buying power"),
    Command("signals", "[n]", "today's signals and what became of them"),
    Command("why", "<signal or ticker>", "why a signal was traded or not", Verb.WHY),
    Command("risk", "", "the limits and how much of them is used"),
    Command("calendar", "", "the next sessions and their deadlines"),
    Command("health", "", "is everything alive"),
    Command("logs", "[n]", "the last lines of the log"),
    Command("config", "", "the settings, without secrets"),
    Command("version", "", "what runs, and since when"),
    Command("help", "", "this list"),
    Command("pause", "[minutes]", "no new entries for so long, or until /resume", Verb.PAUSE),
    Command("resume", "", "end your own pause or halt; it lifts no other pause", Verb.RESUME),
    Command("halt", "", "no new entries, also after a restart, at once", Verb.HALT),
    Command("cancel", "", "cancel working entries and foreign orders", Verb.CANCEL, True),
    Command("close", "<symbol or ticker>", "sell one position", Verb.CLOSE, True),
    Command("flatten", "[0dte|all]", "sell what expires today, or everything", Verb.FLATTEN, True),
    Command("eod", "", "run the end-of-day check now; it sells only what is due", Verb.EOD, True),
    Command("adopt", "<symbol> [runner|scalp]", "exits for what you bought by hand", Verb.ADOPT, True),
    Command("dne", "<symbol>", "tell the broker not to exercise", Verb.DNE, True),
)

MOST_WORDS = 200
"""Characters of an argument that are looked at."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A command as somebody typed it; ``command`` is None when there is no such."""

    word: str
    command: Command | None
    argument: str | None


def parse(text: str) -> Asked | None:
    """The command in ``text`` (``/close@bot SPY``); None when it is none."""
    head, *rest = text.split(maxsplit=1)[:2] or [""]
    if not head.startswith("/"):
        return None
    word = head[1:].partition("@")[0].lower()[:32]
    known = next((command for command in COMMANDS if command.name == word), None)
    argument = " ".join(rest[0].split())[:MOST_WORDS] if rest else ""
    return Asked(word, known, argument or None)


def help_text() -> str:
    """Every command, one a line."""
    closing = "Those that sell or cannot be taken back show what they will do and wait 30 s for your tap."
    return "\n".join([*(command.line for command in COMMANDS), "", closing])


class BadCount(Exception):
    """A number that was asked for is none; the text is one line for the owner."""


def count(argument: str | None, usual: int, most: int) -> int:
    """How many were asked for. Raises BadCount."""
    if argument is None:
        return usual
    if not (argument.isascii() and argument.isdigit() and len(argument) <= 6 and int(argument) > 0):
        raise BadCount(f"a whole number from 1 to {most}, please, not {argument[:40]!r}")
    return min(int(argument), most)
