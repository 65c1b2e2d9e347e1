-- What the assistant may do and has cost.
SELECT 1;
