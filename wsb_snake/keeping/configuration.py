"""The configuration as a ``.env`` file that may leave the machine: without anything secret."""

from urllib.parse import urlsplit

from pydantic import SecretStr

from wsb_snake.config import Settings

HEAD = "# What differed from the defaults. Secrets are left out; put them back by hand.\n"


def without_secrets(settings: Settings) -> str:
    """One line for each setting that is not at its default, in the order of the settings."""
    lines = []
    for name, field in type(settings).model_fields.items():
        value = getattr(settings, name)
        if value == field.default:
            continue
        hidden = isinstance(value, SecretStr) or _tells(str(value), settings)
        lines.append(f"#{name.upper()}=\n" if hidden else f"{name.upper()}={_text(value)}\n")
    return HEAD + "".join(lines)


def _tells(text: str, settings: Settings) -> bool:
    """Whether a secret stands in ``text``, or a name or password in its address."""
    return any(secret in text for secret in settings.secrets()) or "@" in urlsplit(text).netloc


def _text(value: object) -> str:
    """As ``.env`` has it; ``yes`` is what every switch understands."""
    if isinstance(value, bool):
        return "yes" if value else "false"
    return "" if value is None else str(value)
