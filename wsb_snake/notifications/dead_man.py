"""The dead man's switch: a URL that is fetched every minute while all is well.

Whoever runs that URL raises the alarm when the calls stay away. The URL is a secret: it is in no text.
"""

import logging

import requests

EVERY_S = 60.0
CONNECT_S, READ_S = 5.0, 10.0

log = logging.getLogger(__name__)


class DeadMan:
    """Fetches one URL. One lane calls ``ping``; nothing waits for it."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._session = requests.Session()
        self._working = True

    def ping(self) -> bool:
        """Tell that all is well; whether it was taken. Takes at most about 15 s and raises nothing."""
        trouble = self._fetch()
        if trouble and self._working:
            log.warning("the heartbeat URL cannot be told: %s", trouble)
        elif not trouble and not self._working:
            log.info("the heartbeat URL takes our sign of life again")
        self._working = not trouble
        return self._working

    def _fetch(self) -> str:
        """What went wrong; empty when nothing did."""
        try:
            # streamed and closed: the body may be long or never end, and says nothing
            with self._session.get(self._url, timeout=(CONNECT_S, READ_S), stream=True) as answer:
                return "" if answer.ok else f"status {answer.status_code}"
        except requests.RequestException as error:
            return type(error).__name__
