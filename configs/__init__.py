"""Recipes: each file has a `get_config()`; `--config=NAME` chooses one."""
