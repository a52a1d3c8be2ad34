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
FOLDERS = {"How to": "how-to", "Causes": "causes", "Rules of lint": "rules"}
"""Parts of the menu that list a whole folder: what mkdocs.yml names first, and the others by name."""

_PICTURE = re.compile(r"^<!-- picture: ([a-z-]+) -->$", re.MULTILINE)
_shown: set[str] = set()


def on_config(config: Any) -> Any:
    """Put the pages of the folders into the menu, after those that it names."""
    for part in config.nav:
        for title, folder in FOLDERS.items():
            if isinstance(part, dict) and title in part:
                named = [path for each in part[title] for path in (each.values() if isinstance(each, dict) else [each])]
                pages = sorted(f"{folder}/{path.name}" for path in (Path(config.docs_dir) / folder).glob("*.md"))
                part[title] += [path for path in pages if path not in named]
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
