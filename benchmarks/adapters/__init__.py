"""One module a client: it says in CLIENTS how that client does each work."""
