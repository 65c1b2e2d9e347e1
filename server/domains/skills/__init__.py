"""What the assistant can do for a customer: its tools, each done once."""

from server.domains.skills.toolbox import TOOLS, Skills

__all__ = ["TOOLS", "Skills"]
