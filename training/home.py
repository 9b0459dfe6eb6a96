"""Where everything of one shop lives, as training sees it (docs/architecture.md; the server has `serving.settings`)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from serving.champion import bundle_folder, read_champion
from serving.decisioning.policy import Policy, default_policy_text, parse_policy
from serving.decisioning.texts import language_named, parse_texts
from serving.errors import PolicyError, TextsError


@dataclass(frozen=True)
class Home:
    """The folders of one shop; nothing is made until something is written."""

    folder: Path

    @property
    def bundles(self) -> Path:
        """Where bundles stand, each under its version."""
        return self.folder / "bundles"

    @property
    def features(self) -> Path:
        """Where conformed and feature tables stand."""
        return self.folder / "features"

    @property
    def policy_path(self) -> Path:
        """The policy that the next bundle carries."""
        return self.folder / "policy.toml"

    @property
    def texts_folder(self) -> Path:
        """The shop's own texts of messages, which the next bundle carries."""
        return self.folder / "texts"

    def bundle(self, version: str) -> Path:
        """Return the folder of a bundle."""
        return bundle_folder(self.folder, version)

    def report(self, version: str) -> Path:
        """Return the folder for what is written about a bundle or an evaluation."""
        return self.folder / "reports" / version

    def champion(self) -> str | None:
        """Return the version that serves, or None."""
        return read_champion(self.folder)

    def policy_text(self) -> str:
        """Return the text of `policy.toml`, written with the defaults where it is missing.

        Raises
        ------
        PolicyError
            When it holds mistakes; all are named, with the file.
        """
        if not self.policy_path.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            self.policy_path.write_text(default_policy_text(), encoding="utf-8")
        return read_policy(self.policy_path)[0]

    def texts(self) -> dict[str, str]:
        """Return the shop's own texts of messages, by language: the files ``texts/<language>.toml``, as they are now.

        Raises
        ------
        TextsError
            When one can't be read or holds mistakes; all of the file are named.
        """
        return {path.stem: _read_texts(path) for path in sorted(self.texts_folder.glob("*.toml"))}

    def checked_texts(self) -> dict[str, str]:
        """Return the shop's own texts, as `texts`; PolicyError also where the policy's language has none."""
        found = self.texts()
        language_named(parse_policy(self.policy_text()).actions.language, found)
        return found


def _read_texts(path: Path) -> str:
    try:
        source = path.read_text(encoding="utf-8")
        parse_texts(source)
    except (OSError, UnicodeDecodeError) as error:
        raise TextsError(f"{path} can't be read: {error}") from error
    except TextsError as error:
        raise TextsError(f"{path}: {error}") from error
    return source


def read_policy(path: Path) -> tuple[str, Policy]:
    """Return the text and the policy of a file; PolicyError names the file and every mistake."""
    try:
        text = path.read_text(encoding="utf-8")
        return text, parse_policy(text)
    except (OSError, UnicodeDecodeError) as error:
        raise PolicyError(f"{path} can't be read: {error}") from error
    except PolicyError as error:
        raise PolicyError(f"{path}: {error}") from error
