-- What of a template is filled in beside its numbered variables. A header is {"format", "text"}, a button of
-- buttons {"type", "text", "url"}; code before this kept a button's words alone, and read none.
ALTER TABLE message_template
    ADD names jsonb NOT NULL DEFAULT '[]',
    ADD header jsonb;
