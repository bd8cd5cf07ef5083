"""Sections of the document, one module each.

Each has a function `text(results)`, from a dict of an experiment's name to
its lines of results to Markdown.
"""
