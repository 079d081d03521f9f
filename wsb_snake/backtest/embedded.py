"""What every run on the embedded exchange shares: its settings, and the seam below the vendors' clients."""

from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from wsb_snake import config
from wsb_snake.config import ConfigError, Settings
from wsb_snake.core.transport import Handler, WireReply, WireRequest
from wsb_snake.sim.alpaca_api import AlpacaApi
from wsb_snake.sim.api import ApiRequest
from wsb_snake.sim.faults import ConnectionLost, Hung
from wsb_snake.sim.polygon_api import PolygonApi
from wsb_snake.sim.server import POLYGON_PATHS


def embedded_settings(urls: dict[str, str], folder: Path, **chosen: object) -> Settings:
    """The environment's settings for the embedded exchange: no ``.env``, loopback only, a folder of its own.

    ``chosen`` are further settings by their lower-case names. Raises ConfigError.
    """
    fixed: dict[str, object] = {name.lower(): value for name, value in urls.items()}
    settings = config.load(
        env_file=None,
        **fixed,
        alpaca_live_trading=False,
        alpaca_account_number=None,
        wsb_snake_clock_start=None,
        wsb_snake_heartbeat_url=None,
        wsb_snake_data_dir=folder,
        telegram_user_id=None,
        polygon_plan="advanced",
        **chosen,
    )
    if settings.mode != "embedded":
        raise ConfigError("the embedded exchange is reached over loopback only")
    return settings


def seam(alpaca: AlpacaApi, polygon: PolygonApi) -> Handler:
    """Hands each request to the exchange's own handlers, without a socket."""

    def answer(request: WireRequest) -> WireReply:
        url = urlsplit(request.url)
        path = unquote(url.path)
        call = ApiRequest(
            request.method,
            path,
            dict(parse_qsl(url.query, keep_blank_values=True)),
            {name.lower(): value for name, value in request.headers.items()},
            request.body,
        )
        api = polygon if path.startswith(POLYGON_PATHS) else alpaca
        try:
            reply = api.handle(call)
        except Hung:
            raise TimeoutError from None
        except ConnectionLost:
            raise ConnectionResetError from None
        return WireReply(reply.status, (("Content-Type", reply.content_type), *reply.headers), reply.body)

    return answer
