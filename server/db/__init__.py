"""PostgreSQL: the unit of work, tenancy and migrations."""

from server.db.base import Base
from server.db.plain import text
from server.db.session import Database, Session

__all__ = ["Base", "Database", "Session", "text"]
