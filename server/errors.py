"""What can go wrong, by name.

An error's text says what, which and what to do. Whoever catches one of these
can answer it; anything else is a bug and reaches the job runtime, the web
error handler or the scheduler's cycle, which record it.
"""

from __future__ import annotations

from enum import StrEnum


class ProsaasError(Exception):
    """The root of every error this product raises on purpose."""


class StartRefusedError(ProsaasError):
    """A process must not start: its text is the sentence the operator reads."""


class BadInputError(ProsaasError):
    """Someone outside sent what cannot be accepted; `code` is stable, the text is for people."""

    def __init__(self, code: str, text: str) -> None:
        super().__init__(text)
        self.code = code


class StoreUnavailableError(ProsaasError):
    """PostgreSQL did not take the write: nothing was stored, nothing may be acknowledged."""


class Snooze(ProsaasError):  # noqa: N818 -- nothing went wrong
    """What a run waits for has not come: it wants to run again after `for_s`, and used no attempt."""

    def __init__(self, reason: str, *, for_s: float) -> None:
        super().__init__(reason)
        self.for_s = for_s


class LeaseLostError(ProsaasError):
    """Another claim took this job: the run may write nothing and send nothing."""


class ProviderError(ProsaasError):
    """A provider did not do what was asked; `account` says whose account, never a secret."""

    def __init__(self, text: str, *, account: str = "") -> None:
        super().__init__(text)
        self.account = account


class Refusal(StrEnum):
    """What a provider's no means for the business, beyond this one message."""

    OTHER = "other"
    # Only templates may be sent until the customer writes again.
    WINDOW_CLOSED = "window_closed"
    OPTED_OUT = "opted_out"
    # This address has no such messenger, or its owner blocked the business.
    UNREACHABLE = "unreachable"
    # The provider's own cap on marketing for this person: a day later it may go.
    CAPPED = "capped"
    TEMPLATE = "template"
    # The whole account is held: nothing goes out until its owner acts.
    CREDENTIALS = "credentials"
    PAYMENT = "payment"
    POLICY = "policy"


# What holds a whole account: its messages wait, none is lost.
HOLDS_ACCOUNT = frozenset({Refusal.CREDENTIALS, Refusal.PAYMENT, Refusal.POLICY})


class ProviderRefusedError(ProviderError):
    """The provider answered no for good: sending the same again cannot help.

    `code` is the provider's own, for people who look it up; `meaning` is what follows from it.
    """

    def __init__(
        self, text: str, *, account: str = "", meaning: Refusal = Refusal.OTHER, code: str = ""
    ) -> None:
        super().__init__(text, account=account)
        self.meaning = meaning
        self.code = code


class ProviderDownError(ProviderError):
    """The provider proved that it did not take the request: it may be asked again later."""


class ProviderBusyError(ProviderDownError):
    """The provider asks to slow down; `retry_after_s` is what it said, or our guess."""

    def __init__(self, text: str, *, retry_after_s: float, account: str = "") -> None:
        super().__init__(text, account=account)
        self.retry_after_s = retry_after_s


class RecipientBusyError(ProviderBusyError):
    """The provider asks to slow down with one recipient: the account itself goes on."""


class ProviderUnknownError(ProviderError):
    """Nobody can say whether the provider took it: it must not be sent again blindly."""
