-- db/explain.py, the compiled rows behind the policy block, in the order they are merged (D11).
-- Index: the primary key.
SELECT
    c.policy_id::text,
    c.revision_id::text,
    c.rule_payload,
    c.fingerprint,
    c.compiled_at::text
FROM plexsphere.policy_compiled_ruleset AS c
WHERE c.node_id = %(node_id)s
ORDER BY c.policy_id;
