"""Gate 2: ReBAC decisions by SpiceDB over gRPC, and the schema they are made with."""
