"""Packaging of GammaLearn; constraints.txt has the tested versions, pyproject.toml the tools."""

import re
from pathlib import Path

from setuptools import find_packages, setup

HERE = Path(__file__).resolve().parent


def read_version():
    """Return the version without importing the package, which would need its dependencies."""
    source = (HERE / "gammalearn" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "([^"]+)"', source, flags=re.MULTILINE)[1]


def read_description():
    """Return the README, or nothing where only the package itself was copied."""
    readme = HERE / "README.md"
    return readme.read_text(encoding="utf-8") if readme.exists() else ""


setup(
    name="gammalearn",
    version=read_version(),
    description="Deep-learning event reconstruction for Cherenkov telescopes",
    long_description=read_description(),
    long_description_content_type="text/markdown",
    author="The GammaLearn developers",
    license_expression="MIT",
    license_files=["LICENSE"],
    classifiers=[
        "Development Status :: 4 - Beta",
        "Intended Audience :: Science/Research",
        "Operating System :: POSIX",
        "Programming Language :: Python :: 3",
        "Programming Language :: Python :: 3.11",
        "Programming Language :: Python :: 3.12",
        "Programming Language :: Python :: 3.13",
        "Topic :: Scientific/Engineering :: Astronomy",
    ],
    packages=find_packages(include=["gammalearn", "gammalearn.*"]),
    package_data={
        "gammalearn": ["*.pyi", "py.typed"],
        "gammalearn.evaluation.report": ["*.html", "*.ecsv"],
        "gammalearn.models": ["*.ckpt", "*.yaml"],
        "gammalearn.simulation.layouts": ["*.yaml"],
    },
    entry_points={
        "console_scripts": ["gammalearn = gammalearn.cli:main"],
        # Where ctapipe looks for event sources and reconstructors.
        "ctapipe_io": ["gammalearn = gammalearn.simulation.source:GammaLearnEventSource"],
        "ctapipe_reco": ["gammalearn = gammalearn.dl2.reconstructor:GammaLearnReconstructor"],
    },
    python_requires=">=3.11",
    # An upper bound only where a newer release is known to break us, or may by what we lean on: a
    # newer ctapipe or torch should not have to wait for a release of ours.
    install_requires=[
        "astropy>=6.1",
        "blosc2>=3.0",  # what PyTables compresses with
        "ctapipe>=0.28",
        "eventio>=1.15",  # by which ctapipe reads the files of sim_telarray
        "jinja2>=3.1",
        "lightning>=2.5",
        # The native backend writes its loops in what numba and llvmlite keep for themselves.
        "llvmlite>=0.44,<0.51",
        "matplotlib>=3.9",
        "numba>=0.61,<0.69",
        "numpy>=2.0",
        "packaging>=24.0",
        "psutil>=5.9",
        "pydantic>=2.7",
        "pyirf>=0.13",
        "pyyaml>=6.0",
        "scikit-learn>=1.5",
        "scipy>=1.15",
        "shtab>=1.13",
        "tables>=3.10",
        "tensorboard>=2.17",
        "torch>=2.6",  # before 2.6, loading with weights_only could still run code from the file
        "torchmetrics>=1.7",
        "tqdm>=4.66",
        "traitlets>=5.14",
    ],
    extras_require={
        "adaptation": ["POT>=0.9"],  # optimal transport, for the task deepjdot
        # gammapy 2.1 imports what regions 0.12 has no more, and does not say so.
        "dl3": ["gammapy>=2.0", "regions>=0.9,<0.12"],
        # The reference that our indexed convolutions are compared with. IndexedConv drags in
        # torchvision, whose build on PyPI does not go with a CPU torch, so the Makefile installs
        # these two with --no-deps.
        "indexedconv": ["IndexedConv>=1.3.2", "h5py>=3.11"],
        "onnx": ["onnx>=1.17", "onnxscript>=0.3"],
        # Spectra and filters of the simulated galaxies; both bring their data with them.
        "surveys": ["kcorrect>=5.1", "speclite>=1.0"],
        "test": [
            "axe-core-python>=0.1",  # rules for pages that all can read
            "gammapy>=2.0",
            "hypothesis>=6.100",
            "kcorrect>=5.1",
            "mypy>=2.4",
            "onnx>=1.17",
            "onnxruntime>=1.20",
            "onnxscript>=0.3",
            "POT>=0.9",
            "pytest>=8.2",
            "pytest-xdist>=3.6",
            "regions>=0.9,<0.12",
            "ruff>=0.11",
            "speclite>=1.0",
            "types-psutil>=7.2",
            "types-PyYAML>=6.0",
            "types-tqdm>=4.67",
        ],
        "dist": ["build>=1.2", "twine>=6.1"],
        "docs": [
            "ipykernel>=6.29",
            "myst-nb>=1.2",
            "myst-parser>=4.0",
            "numpydoc>=1.8",
            "pydata-sphinx-theme>=0.16",
            "sphinx>=8.0",
            "sphinx-design>=0.6",
        ],
    },
)
