-- Events told to others.
SELECT 1;
