-- Bootstrap tokens: an agent enrols its own Node with one, once.

CREATE TABLE plexsphere.bootstrap_tokens (
    id uuid PRIMARY KEY,
    domain_id uuid NOT NULL REFERENCES plexsphere.domains (id) ON DELETE CASCADE,
    -- SHA-256 of the secret, which is random.
    digest bytea NOT NULL,
    project_id uuid NOT NULL,
    -- NULL: for any handle.
    resource_handle text,
    -- The subject who issued it. The token counts while that subject may edit the Domain.
    issuer text COLLATE "C" NOT NULL,
    issued_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Of the enrolment that consumed it: when, the Node, and the SHA-256 of the nonce.
    consumed_at timestamptz,
    node_id uuid,
    nonce_digest bytea,
    CONSTRAINT bootstrap_tokens_digest CHECK (octet_length(digest) = 32),
    CONSTRAINT bootstrap_tokens_consumed
        CHECK (num_nulls(consumed_at, node_id, nonce_digest) IN (0, 3)),
    CONSTRAINT bootstrap_tokens_nonces UNIQUE (domain_id, nonce_digest)
);

CREATE INDEX bootstrap_tokens_by_age ON plexsphere.bootstrap_tokens (domain_id, expires_at);

-- Outcomes: registered, found (the same statement was sent before), bootstrap_token_invalid,
-- project_mismatch, nonce_collision, token_consumed, token_expired, resource_not_found, and the
-- refusals of register_node. Only registered writes. The Domain's row is locked before the token is
-- read, so that concurrent enrolments take turns. A statement that is sent twice finds its own Node by
-- the secret key, which no other request has.
CREATE FUNCTION plexsphere.enrol_node(
    token uuid, wanted_project uuid, wanted_handle text, wanted_nonce bytea, wanted_key bytea,
    secret_key_digest bytea, hold_off interval, time_offset interval,
    OUT outcome text, OUT node uuid, OUT address inet, OUT mesh_range cidr
)
LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
    moment timestamptz := statement_timestamp() + time_offset;
    known plexsphere.bootstrap_tokens;
BEGIN
    SELECT d.mesh_cidr
    INTO mesh_range
    FROM plexsphere.domains AS d
    WHERE d.id = (SELECT t.domain_id FROM plexsphere.bootstrap_tokens AS t WHERE t.id = token)
    FOR NO KEY UPDATE;
    SELECT t.*
    INTO known
    FROM plexsphere.bootstrap_tokens AS t
    WHERE t.id = token;
    IF NOT FOUND THEN
        outcome := 'bootstrap_token_invalid';
        RETURN;
    END IF;
    IF known.project_id <> wanted_project THEN
        outcome := 'project_mismatch';
        RETURN;
    END IF;
    IF known.nonce_digest = wanted_nonce THEN
        SELECT n.id, n.mesh_ip
        INTO node, address
        FROM plexsphere.nodes AS n
        WHERE n.id = known.node_id
            AND n.secret_key_digests[1] = enrol_node.secret_key_digest;
        IF FOUND THEN
            outcome := 'found';
            RETURN;
        END IF;
    END IF;
    outcome := CASE
        WHEN EXISTS (
            SELECT
            FROM plexsphere.bootstrap_tokens AS t
            WHERE t.domain_id = known.domain_id
                AND t.nonce_digest = wanted_nonce
        ) THEN 'nonce_collision'
        WHEN known.consumed_at IS NOT NULL THEN 'token_consumed'
        WHEN known.expires_at <= moment THEN 'token_expired'
        WHEN known.resource_handle <> wanted_handle THEN 'resource_not_found'
    END;
    IF outcome IS NOT NULL THEN
        RETURN;
    END IF;
    SELECT r.outcome, r.node, r.address, r.mesh_range
    INTO outcome, node, address, mesh_range
    FROM plexsphere.register_node(
        known.domain_id, wanted_key, wanted_handle, NULL, NULL,
        enrol_node.secret_key_digest, hold_off, time_offset) AS r;
    IF outcome = 'registered' THEN
        UPDATE plexsphere.bootstrap_tokens AS t
        SET consumed_at = moment, node_id = node, nonce_digest = wanted_nonce
        WHERE t.id = token;
    END IF;
END;
$$;
