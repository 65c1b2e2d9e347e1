"""Businesses, the people who run them, and how they prove who they are."""

from server.domains.accounts.attempts import Attempts
from server.domains.accounts.models import ApiKey, Business, EntryLink, LoginSession, Membership, UserAccount
from server.domains.accounts.queries import (
    KeyFound,
    Login,
    find_business,
    find_user_by_email,
    insert_membership,
    list_api_keys,
    read_member_names,
)
from server.domains.accounts.rules import MOST_API_KEYS
from server.domains.accounts.service import (
    create_api_key,
    create_business,
    create_user,
    find_api_key,
    find_session,
    forget_expired_logins,
    is_still_logged_in,
    issue_entry_link,
    log_in,
    log_out,
    revoke_api_key,
    use_entry_link,
)

__all__ = [
    "MOST_API_KEYS",
    "ApiKey",
    "Attempts",
    "Business",
    "EntryLink",
    "KeyFound",
    "Login",
    "LoginSession",
    "Membership",
    "UserAccount",
    "create_api_key",
    "create_business",
    "create_user",
    "find_api_key",
    "find_business",
    "find_session",
    "find_user_by_email",
    "forget_expired_logins",
    "insert_membership",
    "is_still_logged_in",
    "issue_entry_link",
    "list_api_keys",
    "log_in",
    "log_out",
    "read_member_names",
    "revoke_api_key",
    "use_entry_link",
]
