"""What one simulated outside world is told at its start."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Settings:
    """Addresses and switches of one simulator process.

    `retry_scale` multiplies the bridge's retry delays (5, 10, 30, 60, 120 s); `echo` and `receipts`
    are the bridge's habits after a start and after every reset. Without `bridge_status_url` the bridge
    reports nothing of its connection.
    """

    bridge_webhook_url: str
    bridge_secret: str
    tenant: str
    bridge_status_url: str | None = None
    parent_origins: tuple[str, ...] = ()
    echo: bool = True
    receipts: bool = True
    retry_scale: float = 1.0
