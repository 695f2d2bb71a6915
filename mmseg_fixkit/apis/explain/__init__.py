"""From an error text, a log or a table of results to the cause and what to do."""
