"""What a business's assistant knows, and what it would answer."""

from server.domains.assistant.models import KnowledgeEntry
from server.domains.assistant.queries import Found
from server.domains.assistant.rules import Draft
from server.domains.assistant.service import add_knowledge, draft_reply, find_knowledge, summarise

__all__ = ["Draft", "Found", "KnowledgeEntry", "add_knowledge", "draft_reply", "find_knowledge", "summarise"]
