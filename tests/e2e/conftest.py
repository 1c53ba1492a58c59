"""The wheel is built and installed once for all tests that look at it."""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser
from pathlib import Path
from zipfile import ZipFile

import pytest

from tests.wheels import built_wheel, clean_virtualenv


@dataclass(frozen=True)
class Wheel:
    """The file, what it says of itself, and the python of a virtualenv that has it."""

    file: Path
    metadata: Message
    python: Path

    @property
    def required(self) -> list[str]:
        """What it cannot do without: the requirements of no extra."""
        found = self.metadata.get_all("Requires-Dist") or []
        return [text for text in found if "extra ==" not in text]


@pytest.fixture(scope="session")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Wheel:
    folder = tmp_path_factory.mktemp("wheel")
    file = built_wheel(folder)
    with ZipFile(file) as opened:
        name = next(one for one in opened.namelist() if one.endswith(".dist-info/METADATA"))
        metadata = BytesParser().parsebytes(opened.read(name))
    unbuilt = Wheel(file, metadata, Path())
    return Wheel(file, metadata, clean_virtualenv(folder, file, unbuilt.required))
