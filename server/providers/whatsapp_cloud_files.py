"""Where the files of Meta's Cloud API may be fetched from, and what their server's answer means."""

from __future__ import annotations

from urllib.parse import urlsplit

import httpx

from server.errors import ProviderDownError, ProviderRefusedError
from server.ports import ChannelAccount

# The access token goes along with the request: to Meta's own servers and to nobody else's.
HOSTS = (".fbsbx.com", ".fbcdn.net", ".whatsapp.net", ".facebook.com", ".whatsapp.com")
OK = 200
GONE = frozenset({404, 410})
REFUSED = frozenset({400, 401, 403})


def may_hold_files(url: str, api_root: str) -> bool:
    """Tell whether an address is Meta's: one of its hosts over HTTPS, or where the API itself is."""
    try:
        told, api = urlsplit(url), urlsplit(api_root)
        is_api = (told.scheme, told.hostname, told.port) == (api.scheme, api.hostname, api.port)
    except ValueError:
        return False
    return is_api or (told.scheme == "https" and (told.hostname or "").endswith(HOSTS) and told.port is None)


def refuse_unless_there(answer: httpx.Response, account: ChannelAccount, *, name: str) -> None:
    """Raise what an answer other than the file itself means: gone for good, or to be asked for again."""
    if answer.status_code == OK:
        return
    if answer.status_code in GONE:
        raise ProviderRefusedError(f"{name}: the file is gone", account=str(account.channel_id))
    if answer.status_code in REFUSED:
        # The address lives for five minutes: the next try asks for a new one.
        raise ProviderDownError(
            f"{name}: the file's address is no longer good", account=str(account.channel_id)
        )
    raise ProviderDownError(
        f"{name}: the file cannot be had just now (status {answer.status_code})",
        account=str(account.channel_id),
    )
