"""How the bridge stands to WhatsApp, and what it reports of that."""

from simulator.jsontypes import Json
from simulator.settings import Settings
from simulator.webhooks import WebhookClient, WebhookPoster, bridge_webhook

CONNECTED, DISCONNECTED, WAITS_FOR_CODE = "connected", "disconnected", "waiting_qr"
STATES = (CONNECTED, DISCONNECTED, WAITS_FOR_CODE)
# Why a bridge in the field says that it is not connected; null while it tries again by itself.
REASONS = ("logged_out", "session_replaced", "max_attempts_exceeded")


class BridgeConnection:
    """The connection of the one number that the bridge has; it is up after a start and after a reset."""

    def __init__(self, settings: Settings, client: WebhookClient) -> None:
        self._tenant = settings.tenant
        self._reports: WebhookPoster | None = None
        if settings.bridge_status_url is not None:
            webhook = bridge_webhook(
                settings.bridge_status_url, settings.bridge_secret, retry_scale=settings.retry_scale
            )
            self._reports = WebhookPoster(webhook, client)
        self.state: str = CONNECTED
        self.reason: str | None = None

    @property
    def is_up(self) -> bool:
        """Tell whether messages can be sent."""
        return self.state == CONNECTED

    def announce(self) -> None:
        """Report in the background how it stands, with a bridge's retries."""
        if self._reports is not None:
            self._reports.deliver_in_order([self._report()])

    async def change(self, state: str, reason: str | None) -> int | None:
        """Be connected or not from now on, and return how the report of it was answered."""
        self.state, self.reason = state, reason
        return None if self._reports is None else await self._reports.post(self._report())

    def reset(self) -> None:
        """Be connected again; who believes otherwise is told."""
        was_up = self.is_up
        self.state, self.reason = CONNECTED, None
        if not was_up:
            self.announce()

    async def close(self) -> None:
        """Cancel reports that are on their way."""
        if self._reports is not None:
            await self._reports.close()

    def _report(self) -> Json:
        return {"tenant_id": self._tenant, "status": self.state, "reason": self.reason}
