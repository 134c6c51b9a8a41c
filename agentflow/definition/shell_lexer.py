"""Splits shell text into words and operators, far enough to know where a value stays one word.

References are marked in the text by one character each. What isn't understood is refused, not guessed: whoever asks has
a value from elsewhere, and a wrong guess would run it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

_OPERATORS = (
    "&>>", ";;&", "<<<", "<<-",
    "&&", "||", ";;", ";&", "|&", "&>", "((", "<<", "<&", "<>", "<(", ">>", ">&", ">|", ">(",
    ";", "|", "&", "(", ")", "<", ">", "\n",
)  # fmt: skip
_NUMBERS = re.compile(r"[\d\s+\-*/%()]*")
_PARAMETER = re.compile(r"\$(?:[A-Za-z_]\w*|[0-9@*#?$!-])")
_BRACED = re.compile(r"\$\{#?(?:[A-Za-z_]\w*|[0-9@*#?])(?:(?::?[-+?]|%%?|##?|//?|\^\^?|,,?)[^`$\\{}'\"]*)?\}")
_NAME = re.compile(r"[A-Za-z_]\w*")


class Refused(Exception):
    """Shell text in which a value could be run."""

    def __init__(self, where: str, position: int | None = None) -> None:
        """Make a signal: `where` a value can't stand, or beside what; `position`: of the mark that stands there."""
        super().__init__(where)
        self.where = where
        self.position = position


@dataclass(slots=True)
class ShellWord:
    """One word, or an operator."""

    start: int
    text: str = ""
    """Without its quotes, as far as it is known."""
    operator: bool = False
    constant: bool = True
    """Whether nothing in it is computed."""
    quoted: bool = False
    prefix: str = ""
    """What is known of its beginning."""
    marks: list[int] = field(default_factory=list[int])
    """Places of references in it."""
    bare: int = 0
    """So many characters at its beginning aren't quoted."""

    def computed(self) -> None:
        """Note that what follows isn't known."""
        if self.constant:
            self.constant, self.prefix = False, self.text

    def add(self, text: str, *, quoted: bool = True) -> None:
        """Add known text."""
        if not quoted and not self.quoted and self.constant:
            self.bare += len(text)
        self.quoted = self.quoted or quoted
        self.text += text


class Lexer:
    """Reads a shell text once."""

    def __init__(self, text: str, marks: Mapping[int, object], *, zsh: bool = False) -> None:
        """Begin.

        Args:
            text: the shell text, references marked.
            marks: where the marks stand.
            zsh: whether it is zsh's.
        """
        self.text = text
        self.marks = marks
        self.zsh = zsh
        self.position = 0
        self.inside: dict[int, bool] = {}
        """Mark → whether it stands in double quotes."""
        self.lists: list[list[ShellWord]] = []
        """Words of the whole text, and of each command substitution."""

    def read(self) -> None:
        """Read everything."""
        self._commands(closing=False)

    def _commands(self, *, closing: bool) -> None:
        words: list[ShellWord] = []
        depth = 0
        while self.position < len(self.text):
            if self._blank():
                continue
            operator = next((one for one in _OPERATORS if self.text.startswith(one, self.position)), None)
            if operator is None:
                words.append(self._word())
                continue
            if operator in ("((", "<(", ">("):
                raise Refused(*self._described(operator))
            depth += (operator == "(") - (operator == ")")
            self.position += len(operator)
            if depth < 0 and closing:
                self.lists.append(words)
                return
            last = words[-1] if words else None
            if last is not None and operator[0] in "<>" and last.text.isdigit() and self._touches(last, operator):
                words.pop()  # the number of a file
            words.append(ShellWord(self.position - len(operator), operator, operator=True))
        if closing:
            raise Refused("beside a $( that isn't closed")
        self.lists.append(words)

    def _touches(self, word: ShellWord, operator: str) -> bool:
        return not word.quoted and word.start + len(word.text) == self.position - len(operator)

    def _described(self, operator: str) -> tuple[str, int | None]:
        if operator == "((":
            end = self.text.find("))", self.position)
            return self._arithmetic(self.text[self.position : end if end >= 0 else len(self.text)], self.position)
        return "beside a process substitution", None

    def _arithmetic(self, text: str, start: int) -> tuple[str, int | None]:
        mark = self._mark(start, start + len(text))
        return ("in arithmetic", mark) if mark is not None else ("beside arithmetic with names", None)

    def _mark(self, start: int, end: int) -> int | None:
        return next((one for one in self.marks if start <= one < end), None)

    def _blank(self) -> bool:
        """Pass over white space, continued lines and comments."""
        char = self.text[self.position]
        if char in " \t\r":
            self.position += 1
        elif self.text.startswith("\\\n", self.position):
            self.position += 2
        elif char == "#":
            end = self.text.find("\n", self.position)
            end = len(self.text) if end < 0 else end
            self._refuse_marks(end, "in a comment")
            self.position = end
        else:
            return False
        return True

    def _refuse_marks(self, end: int, where: str) -> None:
        mark = self._mark(self.position, end)
        if mark is not None:
            raise Refused(where, mark)

    def _word(self) -> ShellWord:
        word = ShellWord(self.position)
        while self.position < len(self.text):
            char = self.text[self.position]
            if char in " \t\r\n;|&()<>":
                break
            if self.position in self.marks:
                self._reference(word, quoted=False)
            elif char == "\\":
                self._escape(word)
            elif char == "'":
                self._single(word, self.position + 1, plain=True)
            elif char == '"':
                self._double(word)
            elif char == "`":
                self._backquotes()
            elif char == "$":
                self._dollar(word, quoted=False)
            else:
                word.add(char, quoted=False)
                self.position += 1
        return word

    def _reference(self, word: ShellWord, *, quoted: bool) -> None:
        if not quoted and re.search(r"\w\[[^\]]*$", word.text):
            raise Refused("in an array index", self.position)
        word.computed()
        word.marks.append(self.position)
        self.inside[self.position] = quoted
        self.position += 1

    def _escape(self, word: ShellWord) -> None:
        following = self.position + 1
        if following in self.marks:
            raise Refused("after a backslash", following)
        if self.text[following : following + 1] != "\n":
            word.add(self.text[following : following + 1])
        self.position += 2

    def _single(self, word: ShellWord, start: int, *, plain: bool) -> None:
        """Read single quotes; not `plain`: those of `$'…'`, which have escapes."""
        end = start
        while end < len(self.text) and self.text[end] != "'":
            end += 2 if self.text[end] == "\\" and not plain else 1
        if end >= len(self.text):
            raise Refused("beside a quote that isn't closed")
        self._refuse_marks(end, "in single quotes")
        word.add(self.text[start:end])
        if not plain:
            word.computed()
        self.position = end + 1

    def _double(self, word: ShellWord) -> None:
        self.position += 1
        word.add("")
        while self.position < len(self.text):
            char = self.text[self.position]
            if char == '"':
                self.position += 1
                return
            if self.position in self.marks:
                self._reference(word, quoted=True)
            elif char == "\\":
                following = self.text[self.position + 1 : self.position + 2]
                if following in ("$", "`", '"', "\\", "\n"):
                    word.add("" if following == "\n" else following)
                    self.position += 2
                elif self.position + 1 in self.marks:
                    raise Refused("after a backslash", self.position + 1)
                else:
                    word.add(char)
                    self.position += 1
            elif char == "`":
                self._backquotes()
            elif char == "$":
                self._dollar(word, quoted=True)
            else:
                word.add(char)
                self.position += 1
        raise Refused("beside a quote that isn't closed")

    def _backquotes(self) -> None:
        end = self.text.find("`", self.position + 1)
        self._refuse_marks(end if end >= 0 else len(self.text), "in back-quotes")
        raise Refused("beside back-quotes")

    def _dollar(self, word: ShellWord, *, quoted: bool) -> None:
        text, at = self.text, self.position
        if at + 1 in self.marks:
            raise Refused("in a parameter expansion", at + 1)
        if text.startswith("$'", at) and not quoted:
            self._single(word, at + 2, plain=False)
        elif text.startswith(("$((", "$["), at):
            self._computation(word, "))" if text.startswith("$((", at) else "]")
        elif text.startswith("$(", at):
            word.computed()
            self.position += 2
            self._commands(closing=True)
        elif text.startswith("${", at):
            self._braced(word)
        elif text.startswith('$"', at) and not quoted:
            raise Refused('beside a translated text ($"…")')
        elif (found := _PARAMETER.match(text, at)) is not None:
            word.computed()
            self.position = found.end()
            if self.zsh and text[self.position : self.position + 1] in ("[", ":"):
                raise Refused("beside an index or a modifier of a variable")
        else:
            word.add("$", quoted=quoted)
            self.position += 1

    def _computation(self, word: ShellWord, closing: str) -> None:
        start = self.position + (3 if closing == "))" else 2)
        end = self.text.find(closing, start)
        inner = self.text[start : end if end >= 0 else len(self.text)]
        if end < 0 or not _NUMBERS.fullmatch(inner):
            raise Refused(*self._arithmetic(inner, start))
        word.computed()
        self.position = end + len(closing)

    def _braced(self, word: ShellWord) -> None:
        end = self.text.find("}", self.position)
        mark = self._mark(self.position, end if end >= 0 else len(self.text))
        if mark is not None:
            raise Refused("in a parameter expansion", mark)
        found = _BRACED.match(self.text, self.position)
        if found is None:
            raise Refused("beside a parameter expansion that the shell may evaluate")
        word.computed()
        self.position = found.end()


def name_assigned(word: ShellWord) -> str | None:
    """Return the variable that a word assigns to, if it is an assignment; `a[1]` for one of an array."""
    found = _NAME.match(word.text)
    if found is None or found.end() > word.bare:
        return None
    known = word.text if word.constant else word.prefix
    rest = known[found.end() :]
    if rest.startswith(("=", "+=")) and word.bare > found.end():
        return found[0]
    return f"{found[0]}[]" if re.match(r"\[[^=]*\]?\+?=?", rest) and "[" in rest[:1] and "=" in word.text else None
