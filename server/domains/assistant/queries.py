"""The SQL of the assistant; rows come back typed, and only those the transaction may see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import func
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session, text
from server.domains.assistant.models import KnowledgeEntry
from server.domains.assistant.questions import Term
from server.domains.assistant.spent import Spent


@dataclass(frozen=True)
class Found:
    """An entry and how well it fits a question: 0 not at all, towards 1 in all it speaks of."""

    id: UUID
    title: str
    body: str
    language: str
    score: float


# A term weighs more the fewer entries speak of it, and a term nobody speaks of as much as the rarest:
# so "how much is a pizza" does not fit the price of a door. What an entry says in its title counts
# more than what its body mentions. The half added below keeps a single vague word from being certain.
#
# Entries are counted one by one: row-level security keeps the indexes of `@@` and `<%` from being
# used, and a business has hundreds of entries, not millions.
SEARCH = """
WITH term AS MATERIALIZED (
    SELECT number, word, cast(forms AS tsquery) AS forms, cast(kin AS tsquery) AS kin,
           cast(title_forms AS tsquery) AS title_forms, cast(title_kin AS tsquery) AS title_kin
    FROM unnest(cast(:words AS text[]), cast(:forms AS text[]), cast(:kin AS text[]),
                cast(:title_forms AS text[]), cast(:title_kin AS text[]))
         WITH ORDINALITY AS term(word, forms, kin, title_forms, title_kin, number)
), entry AS MATERIALIZED (
    SELECT id, title, body, language, search FROM knowledge_entry
    WHERE business_id = :business_id AND (cast(:language AS text) IS NULL OR language = :language)
), hit AS MATERIALIZED (
    SELECT entry.id, term.number,
           CASE WHEN search @@ title_forms THEN 1.0
                WHEN search @@ title_kin THEN 0.9
                WHEN search @@ forms THEN 0.75
                WHEN search @@ kin THEN 0.6
                WHEN length(word) > 3 AND word_similarity(word, title) >= 0.55
                THEN 0.8 * word_similarity(word, title)
                ELSE 0 END AS strength
    FROM entry CROSS JOIN term
), weight AS (
    SELECT number, ln(1 + count(*) / (0.5 + greatest(1, count(*) FILTER (WHERE strength > 0)))) AS weight
    FROM hit GROUP BY number
), score AS (
    SELECT id, sum(strength * weight)
               / (sum(weight) + 0.5 * ln(1 + (SELECT count(*) FROM entry) / 1.5)) AS score
    FROM hit JOIN weight USING (number) GROUP BY id
)
SELECT id, title, body, language, cast(score AS float8) AS score
FROM entry JOIN score USING (id) WHERE score > 0
ORDER BY score DESC, title, id LIMIT :limit
"""
NEWEST = """
SELECT id, title, body, language, cast(0 AS float8) AS score FROM knowledge_entry
WHERE business_id = :business_id ORDER BY updated_at DESC, id LIMIT :limit
"""
BEHAVIOUR = """
SELECT business.name, business.language, business.time_zone, now() AS now, wanted.about, wanted.tone,
       wanted.instructions, wanted.hours, wanted.exceptions, wanted.keeps_scope, wanted.tools,
       wanted.needs_approval, wanted.quiet_s, wanted.session_idle_h, wanted.monthly_cap_micro,
       CASE WHEN wanted.monthly_cap_micro IS NOT NULL THEN (
           SELECT coalesce(sum(cost_micro), 0)::bigint FROM assistant_use
           WHERE assistant_use.business_id = business.id
             AND at >= date_trunc('month', now(), business.time_zone)) END AS spent_micro
FROM business LEFT JOIN business_assistant AS wanted ON wanted.business_id = business.id
WHERE business.id = :business_id ORDER BY business.id LIMIT 1
"""
# A notice is one row a kind and day, or month: what happens a hundred times is read once.
NOTICE = """
INSERT INTO assistant_notice (business_id, kind, period, message_id, detail)
SELECT id, cast(:kind AS text), date_trunc(cast(:unit AS text), now() AT TIME ZONE time_zone)::date,
       cast(:message_id AS uuid), cast(:detail AS text)
FROM business WHERE id = :business_id
ON CONFLICT (business_id, kind, period) DO UPDATE
SET times = assistant_notice.times + 1, message_id = excluded.message_id, detail = excluded.detail,
    last_at = now(), seen_at = NULL
WHERE cast(:unit AS text) = 'day'
"""
USE = """
INSERT INTO assistant_use (business_id, message_id, purpose, model, input_tokens, output_tokens, cost_micro)
VALUES (:business_id, :message_id, :purpose, :model, :input_tokens, :output_tokens, :cost_micro)
"""
RECENT_DEEDS = """
SELECT tool, result FROM assistant_tool_call
WHERE conversation_id = :conversation_id AND state = 'done' AND at > now() - interval '1 day'
ORDER BY at DESC, id LIMIT :limit
"""
CAPPED = """
SELECT wanted.business_id FROM business_assistant AS wanted
JOIN business ON business.id = wanted.business_id
WHERE wanted.business_id = ANY (:business_ids) AND wanted.monthly_cap_micro <= (
    SELECT coalesce(sum(cost_micro), 0) FROM assistant_use
    WHERE assistant_use.business_id = business.id AND at >= date_trunc('month', now(), business.time_zone))
ORDER BY wanted.business_id LIMIT :limit
"""


async def search_entries(
    session: Session, business_id: int, terms: Sequence[Term], *, language: str | None, limit: int
) -> list[Found]:
    """Return the entries that fit best, the best first; in one language, or in any."""
    rows = await session.execute(
        text(SEARCH),
        {
            "business_id": business_id,
            "language": language,
            "limit": limit,
            "words": [term.word for term in terms],
            "forms": [term.forms for term in terms],
            "kin": [term.kin for term in terms],
            "title_forms": [_in_titles(term.forms) for term in terms],
            "title_kin": [_in_titles(term.kin) for term in terms],
        },
    )
    return [Found(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def newest_entries(session: Session, business_id: int, *, limit: int) -> list[Found]:
    """Return entries without a question: those changed last come first."""
    rows = await session.execute(text(NEWEST), {"business_id": business_id, "limit": limit})
    return [Found(**row._mapping) for row in rows]  # noqa: SLF001 -- SQLAlchemy's public name


async def read_behaviour(session: Session, business_id: int) -> Mapping[str, Any]:
    """Return all that a business says of its assistant, None where it said nothing."""
    rows = await session.execute(text(BEHAVIOUR), {"business_id": business_id})
    return dict(rows.mappings().one())


async def upsert_entry(session: Session, business_id: int, *, title: str, body: str, language: str) -> UUID:
    """Insert an entry, or give the one with this title a new body; returns its id."""
    statement = upsert(KnowledgeEntry).values(
        business_id=business_id, title=title, body=body, language=language
    )
    changed = statement.on_conflict_do_update(
        index_elements=[KnowledgeEntry.business_id, KnowledgeEntry.language, KnowledgeEntry.title],
        set_={"body": statement.excluded.body, "updated_at": func.now()},
    ).returning(KnowledgeEntry.id)
    return (await session.execute(changed)).scalar_one()


async def insert_use(
    session: Session, business_id: int, spent: Spent, *, purpose: str, message_id: UUID | None
) -> None:
    """Store what a model took."""
    told = {"business_id": business_id, "purpose": purpose, "message_id": message_id} | vars(spent)
    await session.execute(text(USE), told)


async def upsert_notice(
    session: Session, business_id: int, *, kind: str, by_month: bool, message_id: UUID | None, detail: str
) -> None:
    """Store what the owner should know, or that it happened once more today; by the month, only once."""
    await session.execute(
        text(NOTICE),
        {
            "business_id": business_id,
            "kind": kind,
            "unit": "month" if by_month else "day",
            "message_id": message_id,
            "detail": detail,
        },
    )


async def read_deeds(session: Session, conversation_id: UUID, *, limit: int) -> list[tuple[str, str]]:
    """Return which tools did what in a conversation within a day, the newest first."""
    rows = await session.execute(text(RECENT_DEEDS), {"conversation_id": conversation_id, "limit": limit})
    return [(row.tool, row.result) for row in rows]


async def read_capped(session: Session, business_ids: Sequence[int]) -> set[int]:
    """Return those of these businesses that spent what they may in this month."""
    ids = list(business_ids)
    rows = await session.execute(text(CAPPED), {"business_ids": ids, "limit": len(ids)})
    return set(rows.scalars())


def _in_titles(query: str) -> str:
    # The weights of a lexeme stand after it, and after the star of a prefix.
    return query.replace("':*", "':*A").replace("' |", "':A |") + (":A" if query.endswith("'") else "")
