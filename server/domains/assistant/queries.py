"""The SQL of the assistant; rows come back typed, and only those the transaction may see."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import func, text
from sqlalchemy.dialects.postgresql import insert as upsert

from server.db import Session
from server.domains.assistant.models import KnowledgeEntry
from server.domains.assistant.questions import Term


@dataclass(frozen=True)
class Found:
    """An entry and how well it fits a question: 0 not at all, towards 1 in all it speaks of."""

    id: UUID
    title: str
    body: str
    language: str
    score: float


@dataclass(frozen=True)
class Speaker:
    """In whose name the assistant answers, and in which language when the customer's is unclear."""

    name: str
    language: str


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
SPEAKER = "SELECT name, language FROM business WHERE id = :business_id"


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


async def read_speaker(session: Session, business_id: int) -> Speaker:
    """Return the business as its customers know it."""
    row = (await session.execute(text(SPEAKER), {"business_id": business_id})).one()
    return Speaker(name=row.name, language=row.language)


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


def _in_titles(query: str) -> str:
    # The weights of a lexeme stand after it, and after the star of a prefix.
    return query.replace("':*", "':*A").replace("' |", "':A |") + (":A" if query.endswith("'") else "")
