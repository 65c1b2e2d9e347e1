"""Statuses fold the same way in any order."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.domains.messaging.rules import RANK, folded
from server.ports import DeliveryStatus

UNFAILED = sorted(RANK, key=lambda status: RANK[status])


def fold_all(statuses):
    current = DeliveryStatus.QUEUED
    for status in statuses:
        current = folded(current, status)
    return current


@given(st.lists(st.sampled_from(UNFAILED), min_size=1))
def test_the_highest_report_wins(reports):
    assert fold_all(reports) is max([*reports, DeliveryStatus.QUEUED], key=lambda status: RANK[status])


@given(st.sampled_from(list(DeliveryStatus)), st.sampled_from(list(DeliveryStatus)))
def test_a_report_told_twice_changes_nothing_more(current, told):
    assert folded(folded(current, told), told) is folded(current, told)


@pytest.mark.fault("F23")
@pytest.mark.parametrize("order", list(permutations([DeliveryStatus.DELIVERED, DeliveryStatus.FAILED])))
def test_what_was_delivered_did_not_fail_whichever_is_told_first(order):
    assert fold_all([DeliveryStatus.SENT, *order]) is DeliveryStatus.DELIVERED


def test_a_sending_that_failed_is_failed():
    assert fold_all([DeliveryStatus.UNKNOWN, DeliveryStatus.FAILED]) is DeliveryStatus.FAILED
