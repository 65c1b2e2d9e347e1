"""One log line is one event with fields.

No message text, no phone number and no secret is ever a field: identifiers are
enough to find the row.
"""

from __future__ import annotations

import logging
import sys
import traceback

import structlog
from structlog.typing import EventDict, FilteringBoundLogger, Processor

SHARED: tuple[Processor, ...] = (
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.processors.TimeStamper(fmt="iso", utc=True),
)

# The innermost frames, so that endless recursion fills no disk.
MOST_FRAMES = -30


def configure(*, log_format: str, level: str) -> None:
    """Send our events and the libraries' records to standard error in one format."""
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if log_format == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            pad_event_to=0,
            sort_keys=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    structlog.configure(
        processors=[*SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level.upper())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, without_words, renderer],
        )
    )
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # httpx names every address it calls, and addresses may hold tokens.
    for noisy in ("httpx", "httpcore", "asyncio", "uvicorn.access"):
        logging.getLogger(noisy).setLevel(logging.WARNING)


def without_words(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Tell where an error was raised and its type: its text and its variables may quote a customer."""
    told = event.pop("exc_info", None)
    error = sys.exc_info()[1] if told is True else told[1] if isinstance(told, tuple) else told
    if isinstance(error, BaseException):
        frames = "".join(traceback.format_tb(error.__traceback__, MOST_FRAMES))
        event["exception"] = f"{frames}{type(error).__qualname__}"
    return event


def get_logger(name: str) -> FilteringBoundLogger:
    """Return the logger of a module."""
    logger: FilteringBoundLogger = structlog.get_logger(name)
    return logger


def where(error: BaseException) -> str:
    """Return the innermost place in our code that an error passed; its text may quote a customer."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "/server/" in frame.filename] or frames
    return f"{ours[-1].filename.rpartition('/server/')[2]}:{ours[-1].lineno}" if ours else "unknown"
