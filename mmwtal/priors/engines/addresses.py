"""Addresses of servers."""

import ipaddress
from urllib.parse import urlsplit, urlunsplit


def without_password(url: str) -> str | None:
    """Return an address as it may be said, as an exception's text goes to logs; None if it is none."""
    try:
        parts = urlsplit(url)
        # A port out of range is found when it is read.
        valid = parts.scheme in ('http', 'https') and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return None
    return urlunsplit(parts._replace(netloc=parts.netloc.rpartition('@')[2])) if valid else None


def on_this_machine(url: str) -> bool:
    """Tell whether an address is of this machine, by its name or number."""
    host = urlsplit(url).hostname or ''
    if host == 'localhost' or host.endswith('.localhost'):
        return True
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified
