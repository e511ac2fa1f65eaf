"""Stage report: notebooks that call, pages that open offline.

``session`` is what a notebook calls to read tables and to save figures and tables, ``prepare`` shapes tables for the
figures, ``narrative`` words the numbers, ``latex`` writes tables, ``stage`` runs a notebook and makes the page.
"""
