"""How fast wsclient is beside others: see README.md."""
