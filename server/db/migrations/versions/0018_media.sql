-- Files of messages.
SELECT 1;
