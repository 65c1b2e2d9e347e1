"""Where the files of Meta's Cloud API may be fetched from."""

from __future__ import annotations

from urllib.parse import urlsplit

# The access token goes along with the request: to Meta's own servers and to nobody else's.
HOSTS = (".fbsbx.com", ".fbcdn.net", ".whatsapp.net", ".facebook.com", ".whatsapp.com")


def may_hold_files(url: str, api_root: str) -> bool:
    """Tell whether an address is Meta's: one of its hosts over HTTPS, or where the API itself is."""
    try:
        told, api = urlsplit(url), urlsplit(api_root)
        is_api = (told.scheme, told.hostname, told.port) == (api.scheme, api.hostname, api.port)
    except ValueError:
        return False
    return is_api or (told.scheme == "https" and (told.hostname or "").endswith(HOSTS) and told.port is None)
