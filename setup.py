"""Lists the packages: the rest of the metadata is in `pyproject.toml`.

`configs/` lies beside the package in a checkout and is installed inside it, as
`kd_keras.configs`. Automatic discovery cannot add a package from elsewhere.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["kd_keras*"]), "kd_keras.configs"],
    package_dir={"kd_keras.configs": "configs"},
)
