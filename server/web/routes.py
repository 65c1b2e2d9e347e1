"""Every URL of the pages for people."""

from __future__ import annotations

from starlette.middleware import Middleware
from starlette.routing import Route

from server.web import (
    api_keys,
    assistant,
    channels,
    composing,
    demo,
    door,
    inbox,
    jobs,
    knowledge,
    lead_files,
    lead_forms,
    lead_stages,
    leads,
    live,
    media,
    quick_replies,
    schedule,
    settings,
    webhooks,
)
from server.web.context import WebContext
from server.web.gate import anyone, members, owners
from server.web.headers import SecurityHeaders


def web_routes(context: WebContext) -> list[Route]:
    """Return the pages' routes; the demo exists only beside a simulated outside world."""
    routes = [
        Route("/", anyone(context, door.home)),
        Route("/login", anyone(context, door.show_login)),
        Route("/login", anyone(context, door.log_in), methods=["POST"]),
        Route("/logout", members(context, door.log_out), methods=["POST"]),
        Route("/enter/{token}", anyone(context, door.enter)),
        *_conversation_routes(context),
        Route("/jobs", members(context, jobs.show_jobs)),
        Route("/jobs/again", owners(context, jobs.run_again), methods=["POST"]),
        Route("/jobs/cancel", owners(context, jobs.cancel), methods=["POST"]),
        Route("/jobs/settle", owners(context, jobs.settle), methods=["POST"]),
        Route("/schedule", members(context, schedule.show_schedule)),
        Route("/schedule/run", owners(context, schedule.run_now), methods=["POST"]),
        Route("/schedule/pause", owners(context, schedule.pause), methods=["POST"]),
        Route("/schedule/resume", owners(context, schedule.resume), methods=["POST"]),
        Route("/leads", members(context, leads.show_leads)),
        Route("/leads/board", members(context, leads.show_board)),
        Route("/leads/export.csv", members(context, lead_files.export)),
        Route("/leads/import", owners(context, lead_files.show_imports)),
        Route("/leads/import", owners(context, lead_files.upload), methods=["POST"]),
        Route("/leads/import/{import_id:uuid}", owners(context, lead_files.show_import)),
        Route("/leads/import/{import_id:uuid}", owners(context, lead_files.start), methods=["POST"]),
        Route("/leads/import/{import_id:uuid}/bad.csv", owners(context, lead_files.export_bad)),
        Route("/leads/{contact_id:uuid}", members(context, leads.show_person)),
        *(
            Route(f"/leads/{{contact_id:uuid}}/{deed.__name__}", members(context, deed), methods=["POST"])
            for deed in (leads.move, leads.note, leads.save, leads.consent, leads.merge, leads.part)
        ),
        *settings_routes(context),
        *integrations_routes(context),
        *_assistant_routes(context),
        Route("/live", members(context, live.stream)),
        Route("/static/{name}", context.assets.serve),
    ]
    if context.simulator_url:
        routes.append(Route("/demo", members(context, demo.show_demo)))
    return routes


def integrations_routes(context: WebContext) -> list[Route]:
    """Return the pages of what others are told, and of what their programs may do."""
    return [
        Route("/settings/webhooks", owners(context, webhooks.show_webhooks)),
        Route("/settings/webhooks", owners(context, webhooks.add_webhook), methods=["POST"]),
        Route("/settings/webhooks/{endpoint_id:uuid}", owners(context, webhooks.show_webhook)),
        Route(
            "/settings/webhooks/{endpoint_id:uuid}/rotate",
            owners(context, webhooks.rotate_webhook),
            methods=["POST"],
        ),
        Route(
            "/settings/webhooks/{endpoint_id:uuid}/{deed}",
            owners(context, webhooks.do_to_webhook),
            methods=["POST"],
        ),
        Route("/settings/api-keys", owners(context, api_keys.show_api_keys)),
        Route("/settings/api-keys", owners(context, api_keys.add_api_key), methods=["POST"]),
        Route(
            "/settings/api-keys/{key_id:uuid}/revoke",
            owners(context, api_keys.revoke_api_key),
            methods=["POST"],
        ),
    ]


def _conversation_routes(context: WebContext) -> list[Route]:
    return [
        Route("/settings/answers", owners(context, quick_replies.show_answers)),
        Route("/settings/answers", owners(context, quick_replies.change_answers), methods=["POST"]),
        Route("/inbox", members(context, inbox.show_inbox)),
        Route("/inbox/{conversation_id:uuid}", members(context, inbox.show_conversation)),
        Route("/media", members(context, media.upload), methods=["POST"]),
        Route("/media/{media_id:uuid}", members(context, media.show_media)),
        Route("/media/{media_id:uuid}/again", members(context, media.fetch_again), methods=["POST"]),
        Route("/inbox/{conversation_id:uuid}/send", members(context, composing.send), methods=["POST"]),
        Route("/inbox/{conversation_id:uuid}/settle", members(context, composing.settle), methods=["POST"]),
        Route(
            "/inbox/{conversation_id:uuid}/assistant",
            members(context, composing.change_assistant),
            methods=["POST"],
        ),
        Route("/inbox/{conversation_id:uuid}/decide", members(context, composing.decide), methods=["POST"]),
        Route("/inbox/{conversation_id:uuid}/seen", members(context, composing.see), methods=["POST"]),
    ]


def settings_routes(context: WebContext) -> list[Route]:
    """Return what owners set up."""
    return [
        Route("/settings/lead-forms", owners(context, lead_forms.show_forms)),
        Route("/settings/lead-forms", owners(context, lead_forms.change_forms), methods=["POST"]),
        Route("/settings/stages", owners(context, lead_stages.show_stages)),
        Route("/settings/stages", owners(context, lead_stages.change_stages), methods=["POST"]),
        Route("/settings", owners(context, settings.show_settings)),
        Route("/settings/channels", owners(context, channels.show_channels)),
        Route(
            "/settings/channels/{channel_id:uuid}/templates",
            owners(context, channels.refresh_templates),
            methods=["POST"],
        ),
        Route("/settings/channels/bridge", owners(context, channels.connect_bridge), methods=["POST"]),
        Route("/settings/channels/number", owners(context, channels.connect_number), methods=["POST"]),
    ]


def _assistant_routes(context: WebContext) -> list[Route]:
    entry = f"{knowledge.PATH}/{{entry_id:uuid}}"
    return [
        Route(assistant.PATH, owners(context, assistant.show_assistant)),
        Route(assistant.PATH, owners(context, assistant.save), methods=["POST"]),
        Route(f"{assistant.PATH}/seen", owners(context, assistant.put_away), methods=["POST"]),
        Route(assistant.TRY_PATH, owners(context, assistant.show_try)),
        Route(assistant.TRY_PATH, owners(context, assistant.ask), methods=["POST"]),
        Route(f"{assistant.TRY_PATH}/{{trial_id:uuid}}", owners(context, assistant.show_trial)),
        Route(knowledge.PATH, owners(context, knowledge.show_knowledge)),
        Route(f"{knowledge.PATH}/new", owners(context, knowledge.show_new)),
        Route(f"{knowledge.PATH}/new", owners(context, knowledge.save_new), methods=["POST"]),
        Route(f"{knowledge.PATH}/import", owners(context, knowledge.show_import)),
        Route(f"{knowledge.PATH}/import", owners(context, knowledge.import_text), methods=["POST"]),
        Route(entry, owners(context, knowledge.show_entry)),
        Route(entry, owners(context, knowledge.save_entry), methods=["POST"]),
        Route(f"{entry}/remove", owners(context, knowledge.remove), methods=["POST"]),
    ]


def web_middleware() -> list[Middleware]:
    """Return what stands around every answer of the process, of machines' URLs too."""
    return [Middleware(SecurityHeaders)]
