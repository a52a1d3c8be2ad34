"""What the site has besides the pages: the terminal's pictures, where a page asks for them, and each folder's pages in the menu.

A hook of MkDocs (mkdocs.yml). `<!-- picture: NAME -->` in a page becomes build/pictures/NAME.svg, which tools/pictures.py makes.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

PICTURES = Path(__file__).parents[1] / "build" / "pictures"
FOLDERS = {"Causes": "causes", "Rules of lint": "rules"}
"""Parts of the menu that list a whole folder, whose pages are one an item of the code."""

_PICTURE = re.compile(r"^<!-- picture: ([a-z-]+) -->$", re.MULTILINE)
_shown: set[str] = set()


def on_config(config: Any) -> Any:
    """Put the pages of the folders into the menu, after their index."""
    for part in config.nav:
        for title, folder in FOLDERS.items():
            if isinstance(part, dict) and title in part:
                pages = sorted(path.name for path in (Path(config.docs_dir) / folder).glob("*.md"))
                part[title] = [f"{folder}/index.md", *(f"{folder}/{name}" for name in pages if name != "index.md")]
    return config


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
    """Raise PluginError for a picture that no page shows."""
    if left := sorted({path.stem for path in PICTURES.glob("*.svg")} - _shown):
        raise PluginError(f"no page of {config.site_name} shows the picture {left[0]}")
