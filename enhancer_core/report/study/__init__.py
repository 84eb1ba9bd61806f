"""The report of a study: its pages, tables and figures, and the words that sum them up."""
