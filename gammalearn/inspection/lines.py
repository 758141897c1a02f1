"""How values are listed in lines."""

__all__ = ["number_ranges", "titled_lines"]


def titled_lines(title: str, values: dict) -> list[str]:
    """A title, and a line for each value with its name before it."""
    width = max(map(len, values), default=0) + 2
    return [title, *(f"  {name:<{width}}{value}" for name, value in values.items())]


def number_ranges(ids: list[int]) -> str:
    """``[1, 2, 3, 7]`` as ``1-3, 7``."""
    ids, parts, start = sorted(ids), [], None
    for i, number in enumerate(ids):
        if start is None:
            start = number
        if i + 1 == len(ids) or ids[i + 1] != number + 1:
            parts.append(f"{start}" if start == number else f"{start}-{number}")
            start = None
    return ", ".join(parts)
