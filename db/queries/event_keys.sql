-- Event keys: the keys that sign the events of a Domain.

-- name: current_event_key
-- prepare: domain_id uuid
-- db/event_keys.py, PostgresEventKeys.current.
-- Index: event_keys_current.
SELECT
    k.key_id,
    k.public_key
FROM plexsphere.event_keys AS k
WHERE k.domain_id = %(domain_id)s
    AND k.transition_expires IS NULL;

-- name: any_event_key
-- db/event_keys.py, has_event_keys. No index: it reads one row.
SELECT EXISTS (SELECT FROM plexsphere.event_keys);

-- name: ensure_event_key
-- prepare: domain_id uuid, key_id text, public_key bytea, private_key bytea
-- db/event_keys.py, PostgresEventKeys.current, for a Domain without a key.
-- Indexes, used by the function (migration 0013): domains_pkey, event_keys_current.
SELECT
    k.key_id,
    k.public_key
FROM plexsphere.ensure_event_key(
    %(domain_id)s,
    %(key_id)s,
    %(public_key)s,
    %(private_key)s
) AS k;

-- name: event_keys_of_domains
-- prepare: domain_ids uuid[]
-- db/event_keys.py, PostgresEventKeys.stored: the current keys and those in transition.
-- Index: event_keys_pkey.
SELECT
    k.domain_id::text,
    k.key_id,
    k.public_key,
    k.encrypted_private_key,
    k.signs_after,
    k.transition_expires
FROM plexsphere.event_keys AS k
WHERE k.domain_id = ANY (%(domain_ids)s)
ORDER BY k.domain_id, k.signs_after;

-- name: rotate_event_key
-- prepare: domain_id uuid, key_id text, public_key bytea, private_key bytea, transition interval
-- prepare: operator text
-- db/event_keys.py, PostgresEventKeys.rotate, with the row of the audit.
-- Indexes, used by the functions (migrations 0017 and 0012): domains_pkey, event_keys_pkey,
-- departed_pkey.
SELECT
    r.outcome,
    r.previous_id,
    r.expires
FROM plexsphere.rotate_event_key(
    %(domain_id)s,
    %(key_id)s,
    %(public_key)s,
    %(private_key)s,
    %(transition)s
) AS r
CROSS JOIN LATERAL plexsphere.record_write(
    CASE WHEN r.outcome = 'rotated' THEN 'domain.rotate_event_key' END,
    %(operator)s,
    'domain:' || %(domain_id)s,
    ''
);

-- name: domains_with_event_keys
-- prepare: after uuid, limit int
-- db/event_keys.py, PostgresEventKeys.domains: a page of the Domains that have keys.
-- Index: event_keys_pkey.
SELECT DISTINCT k.domain_id::text COLLATE "C"
FROM plexsphere.event_keys AS k
WHERE k.domain_id > %(after)s
ORDER BY 1
LIMIT %(limit)s;

-- name: replace_encrypted_key
-- prepare: domain_id uuid, key_id text, before bytea, after bytea
-- db/event_keys.py, PostgresEventKeys.replace_encrypted: unless somebody has replaced it meanwhile.
-- Index: event_keys_pkey.
UPDATE plexsphere.event_keys AS k
SET encrypted_private_key = %(after)s
WHERE k.domain_id = %(domain_id)s
    AND k.key_id = %(key_id)s
    AND k.encrypted_private_key = %(before)s
RETURNING k.key_id;
