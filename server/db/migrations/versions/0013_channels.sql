-- Channels of several kinds.
SELECT 1;
