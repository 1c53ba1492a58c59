-- db/explain.py: its statements see one moment of the ledger, as a pull's single statement does.
BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY;
