"""Annotated formats: one reader and writer a file, all in terms of `Document`; `reading` picks by name and content."""
