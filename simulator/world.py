"""Everything one simulator remembers, in memory and with limits."""

import asyncio

from starlette.requests import Request

from simulator.behaviours import BehaviourOrder, BehaviourQueue, ProviderName
from simulator.bridge_connection import BridgeConnection
from simulator.calls import CallLog
from simulator.cloud_number import CloudNumber
from simulator.media import MediaStore
from simulator.n8n_workflows import Workflows
from simulator.phone import Phones
from simulator.script import Script
from simulator.settings import Settings
from simulator.webhooks import WebhookClient, WebhookPoster, bridge_webhook


class World:
    """The state that the providers, the phone and the control endpoints share."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.calls = CallLog()
        self.behaviours = BehaviourQueue()
        self.phones = Phones()
        self.media = MediaStore()
        self.script = Script()
        self._client = WebhookClient()
        webhook = bridge_webhook(
            settings.bridge_webhook_url, settings.bridge_secret, retry_scale=settings.retry_scale
        )
        self.webhooks = WebhookPoster(webhook, self._client)
        self.connection = BridgeConnection(settings, self._client)
        self.cloud = CloudNumber(self._client, retry_scale=settings.retry_scale)
        self.n8n = Workflows()
        self.echo = settings.echo
        self.receipts = settings.receipts
        self.released = asyncio.Event()

    def order(self, order: BehaviourOrder) -> None:
        """Take in how a provider is to answer, and the bridge's habits."""
        self.behaviours.add(order)
        if order.provider is ProviderName.CLOUD and order.receipts is not None:
            self.cloud.sends_receipts = order.receipts
        if order.provider is ProviderName.BRIDGE:
            self.echo = self.echo if order.echo is None else order.echo
            self.receipts = self.receipts if order.receipts is None else order.receipts

    def reset(self) -> None:
        """Start over: no calls, behaviours, chats or files, nothing in flight, nobody left waiting."""
        self.release_waiting()
        self.webhooks.forget_all()
        self.connection.reset()
        self.cloud.reset()
        self.n8n.clear()
        self.calls.clear()
        self.behaviours.clear()
        self.phones.clear()
        self.media.clear()
        self.script.clear()
        self.echo = self.settings.echo
        self.receipts = self.settings.receipts

    async def close(self) -> None:
        """Cancel every delivery and close the connections."""
        await self.webhooks.close()
        await self.connection.close()
        await self.cloud.close()
        await self._client.aclose()

    def release_waiting(self) -> None:
        """Close connections that hang, and answer at once those that were delayed."""
        self.released.set()
        self.released = asyncio.Event()


def world_of(request: Request) -> World:
    """Return the world this request came to."""
    world = request.app.state.world
    if not isinstance(world, World):
        raise TypeError("The app has no world: build it with create_app().")
    return world
