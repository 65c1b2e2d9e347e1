"""What the assistant can do for a customer: its tools, each done once."""

from server.domains.skills.toolbox import Skills, tools_for

__all__ = ["Skills", "tools_for"]
