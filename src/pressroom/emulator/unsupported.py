"""Operations of the vendor's that exist and are not imitated: they answer 501. Source: reference section 4."""

from __future__ import annotations

import re
from typing import Final

_PATHS: Final[tuple[tuple[str, str, str], ...]] = (
    # methods, folder, the names in it; {id} stands for one path segment
    ("POST", "", "edit remix upscale reframe describe magic-prompt"),
    (
        "POST",
        "v1/ideogram-v3/",
        "edit inpaint remix reframe replace-background generate-design graphic layerize-text layerize-design try-on",
    ),
    ("POST", "v1/ideogram-v3/", "train-model train-model-advanced"),
    (
        "POST",
        "v1/ideogram-v4/",
        "remix async/remix magic-prompt describe image-to-image async/image-to-image generate-design",
    ),
    ("POST", "v1/ideogram-v4/", "async/generate-design generate/stable train-model train-model-advanced"),
    ("POST", "v1/ideogram-v45/", "generate async/generate"),
    ("POST", "v1/ideogram-v4-cfg-distilled/", "{id} {id}/{id}"),
    ("POST", "v1/ideogram-v4-fp8/", "generate"),
    ("POST", "v1/", "text-to-image/p-image-ideogram async/text-to-image/p-image-ideogram"),
    ("POST", "v1/p-image-ideogram/", "very-low/generate low/generate medium/generate high/generate"),
    ("POST", "v1/ernie/", "generate async/generate"),
    ("POST", "v1/flux-2-klein/", "generate async/generate"),
    ("POST", "v1/flux-2-klein-base/", "generate async/generate"),
    ("POST", "v1/z-image/", "generate async/generate"),
    (
        "POST",
        "v1/",
        "edit edit-lite remove-background remove-object snap-mask layerize-logos provenance/verify",
    ),
    ("GET", "v1/", ".well-known/jwks.json"),
    ("GET POST", "", "datasets"),
    ("GET", "", "datasets/{id} models models/{id}"),
    ("POST", "datasets/{id}/", "upload_assets train_model"),
    ("POST", "v2/image/precise-edit/", "ideogram-4-5"),
    ("POST", "v2/image/inpaint/", "ideogram-3 ideogram-3-character ideogram-3-custom-model"),
    ("POST", "v2/image/remix/", "auto ideogram-3 ideogram-3-character ideogram-3-custom-model ideogram-4"),
    (
        "POST",
        "v2/image/reframe/",
        "ideogram-3 nano-banana-2 auto bria-expand gpt-image-2-5-flare nano-banana-pro",
    ),
    ("POST", "v2/image/replace-background/", "gpt-image-2 ideogram-3"),
    ("POST", "v2/image/", "remove-background/ideogram-1 remove-object/ideogram-1"),
    (
        "POST",
        "v2/image/upscale/",
        "auto nano-banana-pro topaz-bloom-2 topaz-redefine topaz-standard-2 topaz-text-refine topaz-wonder-3-5",
    ),
    ("POST", "v2/image/describe/", "ideogram-3 ideogram-4"),
    ("POST", "v2/", "design/layerize/ideogram-3 tool/{id} workflow/{id} video/generate/{id} video/edit/{id}"),
    ("GET", "v2/", "assets/reference-usage"),
)


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile("/" + re.escape(path).replace(r"\{id\}", "[^/]+"))


_KNOWN: Final = tuple(
    (frozenset(methods.split()), _pattern(folder + name))
    for methods, folder, names in _PATHS
    for name in names.split()
)


def is_unsupported(method: str, path: str) -> bool:
    """Whether the vendor has this operation and the emulator does not."""
    if path.startswith("/manage/api/"):
        return True
    return any(method in methods and pattern.fullmatch(path) for methods, pattern in _KNOWN)
