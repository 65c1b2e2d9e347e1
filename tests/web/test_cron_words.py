"""Cron expressions in two languages, with the plurals of each."""

from __future__ import annotations

import pytest

from server.web.cron_words import say_cron
from server.web.words import Language, load_words

WORDS = load_words()
TOLD = [
    ("* * * * *", "Every minute", "כל דקה"),
    ("*/1 * * * *", "Every minute", "כל דקה"),
    ("*/2 * * * *", "Every two minutes", "כל שתי דקות"),
    ("*/5 * * * *", "Every 5 minutes", "כל 5 דקות"),
    ("0 * * * *", "Every hour", "כל שעה"),
    ("15 * * * *", "Every hour, at minute 15", "כל שעה, בדקה 15"),
    ("0 */2 * * *", "Every two hours", "כל שעתיים"),
    ("30 */6 * * *", "Every 6 hours, at minute 30", "כל 6 שעות, בדקה 30"),
    ("* * * * * *", "Every second", "כל שנייה"),
    ("*/2 * * * * *", "Every two seconds", "כל שתי שניות"),
    ("*/10 * * * * *", "Every 10 seconds", "כל 10 שניות"),
    ("0 3 * * *", "Every day at 03:00", "כל יום ב־03:00"),
    ("05 9,18 * * *", "Every day at 09:05 and 18:05", "כל יום ב־09:05 ו18:05"),
    ("0 8,12,18 * * *", "Every day at 08:00, 12:00 and 18:00", "כל יום ב־08:00, 12:00 ו18:00"),
    ("0 8 * * 0-6", "Every day at 08:00", "כל יום ב־08:00"),
    ("0 8 * * 1", "Every Monday at 08:00", "כל יום שני ב־08:00"),
    ("0 8 * * 7", "Every Sunday at 08:00", "כל יום ראשון ב־08:00"),
    ("0 8 * * SAT", "Every Saturday at 08:00", "כל יום שבת ב־08:00"),
    ("0 8 * * 1,4", "Monday and Thursday at 08:00", "בימים שני וחמישי ב־08:00"),
    ("0 8 * * 0,2,4", "Sunday, Tuesday and Thursday at 08:00", "בימים ראשון, שלישי וחמישי ב־08:00"),
    ("0 8 * * 0-4", "Sunday to Thursday at 08:00", "בימים ראשון עד חמישי ב־08:00"),
    ("0 8 * * mon-fri", "Monday to Friday at 08:00", "בימים שני עד שישי ב־08:00"),
    ("0 0 1 * *", "On day 1 of every month at 00:00", "ב־1 בכל חודש ב־00:00"),
    (
        "0 0 31 * *",
        "On day 31 of each month that has one, at 00:00",
        "ב־31 בכל חודש שיש בו יום כזה, ב־00:00",
    ),
    ("0 0 L * *", "On the last day of every month at 00:00", "ביום האחרון של כל חודש ב־00:00"),
    ("0 7 1 5 *", "Every year on 1.5. at 07:00", "כל שנה ב־1.5. ב־07:00"),
]
# Steps that do not divide, ranges, counted days, two ways to name a day: the expression says it best.
UNTOLD = [
    *(
        "*/7 * * * *",
        "0 */5 * * *",
        "*/5 9-17 * * *",
        "0,30 * * * *",
        "* 2 * * *",
        "0 8 * * 1#2",
        "0 8 * * 5-1",
    ),
    *(
        "0 8 * * */2",
        "0 8 1 * 1",
        "0 8 1-7 * *",
        "0 8 1 1-6 *",
        "0 0 29 2 *",
        "*/10 5 * * * *",
        "*/7 * * * * *",
    ),
    *("0 1,2,3,4,5 * * *", "0 8 * 5 *", "*/0 * * * *"),
]


@pytest.mark.parametrize(("cron", "english", "hebrew"), TOLD)
def test_an_expression_is_said_as_people_say_it(cron: str, english: str, hebrew: str) -> None:
    assert say_cron(WORDS[Language.ENGLISH], cron) == english
    assert say_cron(WORDS[Language.HEBREW], cron) == hebrew


@pytest.mark.parametrize("cron", UNTOLD)
@pytest.mark.parametrize("language", list(Language))
def test_an_expression_that_words_would_not_make_clearer_stands_for_itself(
    language: Language, cron: str
) -> None:
    assert say_cron(WORDS[language], cron) == ""
