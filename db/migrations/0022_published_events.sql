-- Published events by age, for the deletion of old ones: without it each look reads the whole table.
CREATE INDEX events_published ON plexsphere.events (published_at) WHERE published_at IS NOT NULL;
