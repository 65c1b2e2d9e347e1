"""What the assistant can do for a customer: its tools, each done once."""

from server.domains.skills.models import AssistantToolCall

__all__ = ["AssistantToolCall"]
