-- Messages that people send, and when the assistant answers.
SELECT 1;
