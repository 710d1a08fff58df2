"""Who serves a command: its own entry, that of its range, or the one for the rest."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fireflyzmq.gateways.netport.codecs.codec import Command
from fireflyzmq.gateways.netport.commands import CommandTable, checked, command_from

Entries = list[tuple[Command | range | None, str]]


def table(*entries: tuple[Command | range | None, str]) -> CommandTable[str]:
    """A table with some entries, and "unknown" for the rest."""
    made = CommandTable("unknown")
    for commands, entry in entries:
        made.add(commands, entry)
    return made


def test_a_command_has_its_own_entry() -> None:
    made = table((101, "login"), ("chat", "chat"), (0, "zero"))
    assert [made[command] for command in (101, "chat", 0)] == ["login", "chat", "zero"]


def test_what_nothing_is_for_goes_to_the_rest() -> None:
    made = table((101, "login"), (range(200, 300), "game"))
    others: list[Command] = [100, 102, 199, 300, "chat", "101", -1, 1 << 64]
    assert [made[command] for command in others] == ["unknown"] * 8
    made.add(None, "rest")
    assert [made[command] for command in others] == ["rest"] * 8
    made.add(None, "another")
    assert made["chat"] == "another" and made[101] == "login"


def test_a_range_serves_its_first_command_and_its_last() -> None:
    made = table((range(200, 300), "game"), (range(300, 301), "one"), (range(100), "low"))
    assert [made[command] for command in (0, 99, 100, 199, 200, 299, 300, 301)] == [
        *("low", "low", "unknown", "unknown", "game", "game", "one", "unknown")
    ]


@pytest.mark.parametrize("range_first", [False, True])
def test_a_command_of_its_own_goes_before_its_range(range_first: bool) -> None:
    entries: list[tuple[Command | range, str]] = [(250, "special"), (range(200, 300), "game")]
    made = table(*(reversed(entries) if range_first else entries))
    assert [made[command] for command in (249, 250, 251)] == ["game", "special", "game"]


def test_a_command_that_is_added_again_has_its_new_entry() -> None:
    made = table((101, "old"), (101, "new"), ("chat", "old"), ("chat", "new"))
    assert made[101] == "new" and made["chat"] == "new"


@pytest.mark.parametrize(
    "other",
    [range(10, 20), range(11), range(19, 30), range(12, 13), range(50), range(10, 11), range(35, 45)],
    ids=str,
)
def test_ranges_do_not_overlap(other: range) -> None:
    made = table((range(10, 20), "one"), (range(40, 50), "two"))
    with pytest.raises(ValueError):
        made.add(other, "three")
    assert [made[command] for command in (9, 10, 19, 20, 39, 40, 49, 50)] == [
        *("unknown", "one", "one", "unknown", "unknown", "two", "two", "unknown")
    ]


@pytest.mark.parametrize("other", [range(10), range(20, 40), range(50, 51)], ids=str)
def test_ranges_may_touch(other: range) -> None:
    made = table((range(10, 20), "one"), (range(40, 50), "two"), (other, "three"))
    assert made[other[0]] == made[other[-1]] == "three"
    assert [made[command] for command in (10, 19, 40, 49)] == ["one", "one", "two", "two"]


@pytest.mark.parametrize(
    "commands",
    [
        -1,
        True,
        1.0,
        "",
        " ",
        "two words",
        " word",
        "word\n",
        b"word",
        range(5, 5),
        range(1, 10, 2),
        range(9, 0, -1),
        range(-1, 5),
    ],
    ids=repr,
)
def test_what_can_be_no_command_is_refused(commands: Any) -> None:
    made = table()
    with pytest.raises(ValueError):
        made.add(commands, "entry")
    assert not made and vars(made) == vars(table())


def test_what_can_be_a_command_is_one() -> None:
    commands: list[Command] = [0, 101, 1 << 40, "login", "überholen"]
    assert [checked(command) for command in commands] == commands


def test_a_functions_name_says_its_command() -> None:
    assert command_from("login_101") == 101 and command_from("send_all_7") == 7
    for name in ("login", "login_", "login_x1", "login_12345678901"):
        with pytest.raises(ValueError):
            command_from(name)


def overlaps(commands: Command | range | None, added: Entries) -> bool:
    """Whether it is a range that has a command in common with another one."""
    ranges = [set(other) for other, _ in added if isinstance(other, range)]
    return isinstance(commands, range) and any(other & set(commands) for other in ranges)


def found_by_search(command: Command, added: Entries) -> str:
    """What was added last of the most special kind that there is for a command."""
    own = [entry for commands, entry in added if commands == command]
    in_range = [entry for commands, entry in added if isinstance(commands, range) and command in commands]
    rest = [entry for commands, entry in added if commands is None]
    return (own or in_range or rest)[-1]


@given(
    st.lists(
        st.tuples(
            st.integers(0, 30)
            | st.sampled_from(["chat", "move"])
            | st.none()
            | st.builds(lambda start, size: range(start, start + size), st.integers(0, 30), st.integers(1, 8)),
            st.text(max_size=2),
        ),
        max_size=15,
    )
)
def test_a_table_finds_what_a_search_through_all_that_was_added_finds(
    entries: Entries,
) -> None:
    made = table()
    added: Entries = [(None, "unknown")]
    for commands, entry in entries:
        if overlaps(commands, added):
            with pytest.raises(ValueError):
                made.add(commands, entry)
        else:
            made.add(commands, entry)
            added.append((commands, entry))
    for command in [*range(-1, 40), "chat", "move", "other"]:
        assert made[command] == found_by_search(command, added)
