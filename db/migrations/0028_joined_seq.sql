-- An event of a Domain is for the Nodes that had joined before it. The relay may publish it later, so
-- the seq at which a Node joined is kept with what the events say of the Node.

-- Of block 'peer': a number of the same sequence as plexsphere.events.seq, drawn at the commit with
-- which the Node joined its Domain, under the Domain's lock. Events of the Domain with a lower seq
-- were committed before. A Node of before this migration has 0: it gets every event.
ALTER TABLE plexsphere.announced_blocks ADD COLUMN joined_seq bigint NOT NULL DEFAULT 0;

-- As in migration 0017, with joined_seq. It is drawn before the rows of this transaction get theirs:
-- Nodes that join together are told of each other.
CREATE OR REPLACE FUNCTION plexsphere.announce_changes() RETURNS trigger LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- More changed peers than this in one transaction and Domain are one event: pull.
    most_peers constant bigint := 1000;
    of_peer uuid[];
    of_policy uuid[];
    of_bridge uuid[];
    of_state uuid[];
BEGIN
    IF NOT EXISTS (
        SELECT
        FROM plexsphere.changed_blocks AS c
        WHERE (c.xact, c.block, c.node_id) = (NEW.xact, NEW.block, NEW.node_id)
    ) THEN
        RETURN NULL;
    END IF;
    IF current_setting('transaction_isolation') <> 'read committed' THEN
        RAISE EXCEPTION 'changes that agents are told of need the isolation level READ COMMITTED'
            USING ERRCODE = 'feature_not_supported',
            HINT = 'In a transaction that sees one old moment, an event would miss what others committed.';
    END IF;
    WITH taken AS (
        DELETE FROM plexsphere.changed_blocks AS c
        WHERE c.xact = NEW.xact
        RETURNING c.block, c.node_id
    )
    SELECT
        coalesce(array_agg(t.node_id) FILTER (WHERE t.block = 'peer'), '{}'),
        coalesce(array_agg(t.node_id) FILTER (WHERE t.block = 'policy'), '{}'),
        coalesce(array_agg(t.node_id) FILTER (WHERE t.block = 'bridge'), '{}'),
        coalesce(array_agg(t.node_id) FILTER (WHERE t.block = 'state'), '{}')
    INTO of_peer, of_policy, of_bridge, of_state
    FROM taken AS t;
    IF of_peer <> '{}' THEN
        PERFORM
        FROM plexsphere.domains AS d
        WHERE d.id IN (
            SELECT n.domain_id
            FROM plexsphere.nodes AS n
            WHERE n.id = ANY (of_peer)
            UNION
            SELECT a.domain_id
            FROM plexsphere.announced_blocks AS a
            WHERE a.node_id = ANY (of_peer)
        )
        ORDER BY d.id
        FOR NO KEY UPDATE;
        WITH shown AS MATERIALIZED (
            SELECT
                s.*,
                nextval('plexsphere.events_seq_seq') AS joined_seq
            FROM plexsphere.shown_peers(of_peer) AS s
        ),
        changed AS MATERIALIZED (
            SELECT
                b.domain_id,
                b.node_id,
                max(b.before) AS before,
                max(b.after) AS after,
                count(*) OVER (PARTITION BY b.domain_id) > most_peers AS are_many
            FROM (
                SELECT a.domain_id, a.node_id, a.content AS before, NULL AS after
                FROM plexsphere.announced_blocks AS a
                WHERE a.node_id = ANY (of_peer)
                    AND a.block = 'peer'
                UNION ALL
                SELECT s.domain_id, s.node_id, NULL, s.content
                FROM shown AS s
            ) AS b
            GROUP BY b.domain_id, b.node_id
            HAVING max(b.before) IS DISTINCT FROM max(b.after)
        ),
        announced AS (
            INSERT INTO plexsphere.announced_blocks AS a
                (node_id, block, domain_id, content, joined_seq)
            SELECT s.node_id, 'peer', s.domain_id, s.content, s.joined_seq
            FROM shown AS s
            ON CONFLICT (node_id, block) DO UPDATE
            SET domain_id = EXCLUDED.domain_id,
                content = EXCLUDED.content,
                joined_seq = CASE
                    WHEN a.domain_id = EXCLUDED.domain_id THEN a.joined_seq
                    ELSE EXCLUDED.joined_seq
                END
            WHERE (a.domain_id, a.content) IS DISTINCT FROM (EXCLUDED.domain_id, EXCLUDED.content)
        ),
        gone AS (
            DELETE FROM plexsphere.announced_blocks AS a
            WHERE a.node_id = ANY (of_peer)
                AND NOT EXISTS (SELECT FROM shown AS s WHERE s.node_id = a.node_id)
        )
        INSERT INTO plexsphere.events (domain_id, block, content)
        SELECT
            c.domain_id,
            'peer',
            json_build_array(c.node_id, c.before::json, c.after::json)::text
        FROM changed AS c
        WHERE NOT c.are_many
        UNION ALL
        SELECT DISTINCT c.domain_id, 'peer', NULL
        FROM changed AS c
        WHERE c.are_many;
    END IF;
    IF of_policy || of_bridge || of_state = '{}' THEN
        RETURN NULL;
    END IF;
    PERFORM
    FROM plexsphere.nodes AS n
    WHERE n.id = ANY (of_policy || of_bridge || of_state)
    ORDER BY n.id
    FOR NO KEY UPDATE;
    WITH changed AS MATERIALIZED (
        SELECT s.*
        FROM plexsphere.shown_blocks(of_policy, of_bridge, of_state) AS s
        LEFT JOIN plexsphere.announced_blocks AS a
            ON a.node_id = s.node_id AND a.block = s.block
        WHERE coalesce(a.content, '') <> s.digest
    ),
    announced AS (
        INSERT INTO plexsphere.announced_blocks AS a (node_id, block, domain_id, content)
        SELECT c.node_id, c.block, c.domain_id, c.digest
        FROM changed AS c
        ON CONFLICT (node_id, block) DO UPDATE
        SET domain_id = EXCLUDED.domain_id, content = EXCLUDED.content
    )
    INSERT INTO plexsphere.events (domain_id, node_id, block, content)
    SELECT c.domain_id, c.node_id, c.block, c.content
    FROM changed AS c;
    RETURN NULL;
END;
$$;

-- How many events were published since the ledger was made. A row is counted with the statement that
-- marks it, so an event that went to the stream twice is counted once.
CREATE TABLE plexsphere.published_events (
    is_row boolean PRIMARY KEY DEFAULT true CHECK (is_row),
    number bigint NOT NULL DEFAULT 0
);

INSERT INTO plexsphere.published_events DEFAULT VALUES;
