-- People, their consent and the pipeline.
SELECT 1;
