-- Bootstrap tokens: issued, found, consumed by an enrolment.

-- name: issue_bootstrap_token
-- prepare: token_id uuid, domain_id uuid, digest bytea, project_id uuid, resource_handle text
-- prepare: issuer text, lifetime interval, kept interval, time_offset interval
-- prepare: audit_relation text, audit_subject text, correlation_id text
-- db/enrolment.py, PostgresBootstrapTokens.issue. No row where there is no such Domain. A statement
-- that is sent twice issues one token. Tokens of the Domain whose time has been over for long are
-- deleted (kept); time_offset is zero in production.
-- Indexes: domains_pkey, bootstrap_tokens_pkey, bootstrap_tokens_by_age; of the function (migration
-- 0012) departed_pkey.
WITH outdated AS (
    DELETE FROM plexsphere.bootstrap_tokens AS t
    WHERE t.domain_id = %(domain_id)s
        AND t.expires_at < statement_timestamp() + %(time_offset)s - %(kept)s
),
issued AS (
    INSERT INTO plexsphere.bootstrap_tokens AS t
        (id, domain_id, digest, project_id, resource_handle, issuer, issued_at, expires_at)
    SELECT
        %(token_id)s,
        d.id,
        %(digest)s,
        %(project_id)s,
        %(resource_handle)s,
        %(issuer)s,
        statement_timestamp() + %(time_offset)s,
        statement_timestamp() + %(time_offset)s + %(lifetime)s
    FROM plexsphere.domains AS d
    WHERE d.id = %(domain_id)s
    ON CONFLICT (id) DO UPDATE
    SET id = EXCLUDED.id
    RETURNING t.domain_id, t.issued_at, t.expires_at
)
SELECT
    i.issued_at,
    i.expires_at
FROM issued AS i
CROSS JOIN LATERAL plexsphere.record_write(
    %(audit_relation)s,
    %(audit_subject)s,
    'domain:' || i.domain_id,
    %(correlation_id)s
);

-- name: bootstrap_token
-- prepare: token_id uuid
-- db/enrolment.py, PostgresBootstrapTokens.find.
-- Index: bootstrap_tokens_pkey.
SELECT
    t.domain_id::text,
    t.issuer,
    t.digest
FROM plexsphere.bootstrap_tokens AS t
WHERE t.id = %(token_id)s;

-- name: enrol_node
-- prepare: token_id uuid, project_id uuid, resource_handle text, nonce_digest bytea
-- prepare: public_key bytea, secret_key_digest bytea, hold_off interval, time_offset interval
-- prepare: node_quota integer
-- prepare: audit_relation text, audit_subject text, correlation_id text
-- db/enrolment.py, PostgresBootstrapTokens.enrol. time_offset is zero in production.
-- Indexes, used by the functions (migrations 0012 and 0024): bootstrap_tokens_pkey,
-- bootstrap_tokens_nonces, and those of register_node.
SELECT
    r.outcome,
    r.node::text,
    host(r.address),
    r.mesh_range::text
FROM plexsphere.enrol_node(
    %(token_id)s,
    %(project_id)s,
    %(resource_handle)s,
    %(nonce_digest)s,
    %(public_key)s,
    %(secret_key_digest)s,
    %(hold_off)s,
    %(time_offset)s,
    %(node_quota)s
) AS r
CROSS JOIN LATERAL plexsphere.record_write(
    CASE r.outcome WHEN 'registered' THEN %(audit_relation)s END,
    %(audit_subject)s,
    'node:' || r.node,
    %(correlation_id)s
);

-- name: node_identity
-- prepare: node_id uuid
-- db/enrolment.py, node_identity: what an agent keeps of its Node.
-- Indexes: nodes_pkey, domains_pkey.
SELECT
    d.id::text,
    host(n.mesh_ip),
    d.mesh_cidr::text
FROM plexsphere.nodes AS n
JOIN plexsphere.domains AS d ON d.id = n.domain_id
WHERE n.id = %(node_id)s;
