"""What the site has besides the pages: the terminal's pictures, each folder's pages in the menu, words that the search must find.

A hook of MkDocs (mkdocs.yml). `<!-- picture: NAME -->` in a page becomes build/pictures/NAME.svg, which tools/pictures.py makes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

PICTURES = Path(__file__).parents[1] / "build" / "pictures"
FOLDERS = {"How to": "how-to", "Causes": "causes", "Rules of lint": "rules"}
"""Parts of the menu that list a whole folder: what mkdocs.yml names, then the others by name."""
OTHERS = "Others"

FOUND_FIRST = {
    "postgres": "jobs/database",
    "database": "jobs/database",
    "egress gateway": "jobs/egress-gateway",
    "distroless": "jobs/no-curl",
    "REGISTRY_ONLY": "jobs/cannot-reach",
}
"""Everyday words, and the page that the site's search must show first."""

_PICTURE = re.compile(r"^<!-- picture: ([a-z-]+) -->$", re.MULTILINE)
_shown: set[str] = set()


def on_config(config: Any) -> Any:
    """Put the pages of the folders into the menu, after those that it names: below a group where the part has groups."""
    named = set(_paths(config.nav))
    for part in config.nav:
        for title, folder in FOLDERS.items():
            if isinstance(part, dict) and title in part:
                pages = sorted(f"{folder}/{path.name}" for path in (Path(config.docs_dir) / folder).glob("*.md"))
                left = [path for path in pages if path not in named]
                has_groups = any(isinstance(each, dict) and isinstance(next(iter(each.values())), list) for each in part[title])
                part[title] += [{OTHERS: left}] if has_groups and left else left
    return config


def _paths(menu: Any) -> Iterator[str]:
    if isinstance(menu, str):
        yield menu
    else:
        for each in menu.values() if isinstance(menu, dict) else menu:
            yield from _paths(each)


def on_files(files: Files, config: Any) -> Files:
    """Add the pictures to the site's files. Raises PluginError where there are none."""
    made = sorted(PICTURES.glob("*.svg"))
    if not made:
        raise PluginError(f"there is no picture in {PICTURES.name}: make docs makes them first")
    for path in made:
        files.append(File.generated(config, f"pictures/{path.name}", abs_src_path=str(path)))
    return files


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Put pictures in place of their marks. Raises PluginError for one that was not made."""

    def picture(found: re.Match[str]) -> str:
        name = found[1]
        if not (PICTURES / f"{name}.svg").exists():
            raise PluginError(f"{page.file.src_uri} asks for the picture {name}, which tools/pictures.py does not make")
        _shown.add(name)
        up = "../" * page.file.src_uri.count("/")
        return f"![egressctl {name} at a terminal]({up}pictures/{name}.svg)"

    return _PICTURE.sub(picture, markdown)


def on_post_build(config: Any) -> None:
    """Raise PluginError for a picture that no page shows, and for a word that the search finds elsewhere first."""
    if left := sorted({path.stem for path in PICTURES.glob("*.svg")} - _shown):
        raise PluginError(f"no page of {config.site_name} shows the picture {left[0]}")
    index = json.loads((Path(config.site_dir) / "search" / "search_index.json").read_text(encoding="utf-8"))
    for words, page in FOUND_FIRST.items():
        if (first := found_first(index["docs"], words)) != f"{page}.html":
            raise PluginError(f"who searches for {words} finds {first} first, not {page}.html: give that page the tag")


def found_first(documents: list[dict[str, Any]], words: str) -> str:
    """Return the page that Material's search shows first, by its weights: a word in a tag, then in a title, then in the text.

    `documents` are those of search_index.json. Where several pages are equal, it is none: an empty text.
    """
    scores: defaultdict[str, float] = defaultdict(float)
    for document in documents:
        page = document["location"].partition("#")[0]
        for word in words.lower().split():
            for field, weight in (("tags", 1e6), ("title", 1e3), ("text", 1.0)):
                found = document.get(field, "")
                text = " ".join(found) if isinstance(found, list) else re.sub(r"<[^>]*>", " ", found)
                in_it = re.findall(r"\w+", text.lower())
                # As lunr does: the same word counts for more in a short text, and not twice as much for being there twice.
                scores[page] += weight * in_it.count(word) / (in_it.count(word) + 0.01 * len(in_it) + 1)
    most = max(scores.values())
    first = [page for page, score in scores.items() if score == most]
    return first[0] if len(first) == 1 else ""
