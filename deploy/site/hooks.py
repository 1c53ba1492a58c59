"""The README as the first page of the site; links out of docs/ become paths of the repository."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"(?<!!)\[([^]]*)\]\((?:\.\./)+([^)#]+)(#[^)]*)?\)")
# A heading's anchor as the pages link to it: GitHub's.
NO_WORD = re.compile(r"[^\w\- ]")


def on_config(config: Any) -> Any:
    """Anchors as the links in the pages have them."""
    config["mdx_configs"].setdefault("toc", {})["slugify"] = slug
    return config


def slug(heading: str, separator: str) -> str:
    """GitHub's anchor of a heading."""
    return NO_WORD.sub("", heading.strip().lower()).replace(" ", separator)


def on_files(files: Files, config: Any) -> Files:
    """The README, whose links lead from the root of the repository."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    text = re.sub(r"\]\((?!docs/|https?:|#)([^)]+)\)", r"](../\1)", text)
    text = text.replace("](docs/", "](")
    files.append(File.generated(config, "index.md", content=text))
    return files


def on_page_markdown(markdown: str, page: Any, **kwargs: Any) -> str:
    """A file of the repository that is no page: its path."""

    def named(link: re.Match[str]) -> str:
        text, path = link[1], link[2]
        source = Path("docs", page.file.src_uri).parent / link[0].split("](")[1].rstrip(")")
        target = re.sub(r"#.*", "", str(source))
        resolved = (ROOT / target).resolve()
        if resolved.is_relative_to(ROOT / "docs"):
            return link[0]
        return text if path in text else f"{text} (`{path}`)"

    return LINK.sub(named, markdown)
