"""What shell text may hold beside values from elsewhere: simple commands of known meaning, and nothing that evaluates.

It is a list of what is allowed. A value reaches the shell as a quoted variable, but a variable is evaluated again by
`eval`, arithmetic, `sh -c "$x"` and the like, so none of those may stand anywhere in the text.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentflow.definition.programs import Word, evaluated, is_interpreter, reads_program
from agentflow.definition.shell_lexer import Lexer, Refused, ShellWord, name_assigned

_SEPARATORS = frozenset({";", "&", "&&", "||", "|", "|&", "\n", ";;", ";&", ";;&", "(", ")"})
_KEYWORDS = frozenset({"if", "then", "elif", "else", "fi", "while", "until", "do", "done", "!", "{", "}", "esac"})
_REFUSED = frozenset({"function", "select", "coproc", "repeat", "foreach", "time"})
_EVALUATING = frozenset(
    """
    eval source . trap let declare typeset local export readonly integer float unset read mapfile readarray getopts
    compgen complete compopt alias unalias bind enable hash fc history set shopt setopt emulate autoload zmodload ulimit
    jobs disown sched zargs shift return exit break continue wait caller dirs pushd popd logout suspend times vared zle
    bindkey compdef
    """.split()  # noqa: SIM905  they are many
)
"""Builtins that evaluate an argument (as text, as arithmetic, as a variable's name), or change how the shell reads."""
_HARMLESS = re.compile(r"\d*")
_NUMBER_ONLY = frozenset({"exit", "return", "shift", "break", "continue", "wait"})
_COMMAND = re.compile(r"[\w./+@:%,-]+|\[|\[\[")
_SPECIAL = re.compile(
    r"(?:LD_|DYLD_|BASH|GIT_|PYTHON|PERL|RUBY|NODE_|LUA_|JAVA_|_JAVA|GCONV|MALLOC_|LESS|HIST|COMP)\w*|PS\d|\w*(?:PATH|EDITOR)"
    r"|PATH|IFS|ENV|SHELL|SHELLOPTS|PAGER|PROMPT\w*|RPROMPT|prompt|OPTIND|OPTARG|RANDOM|SRANDOM|SECONDS|EPOCH\w*|LINENO"
    r"|TMOUT|COLUMNS|LINES|FUNCNEST|DIRSTACK|GROUPS|UID|EUID|PPID|ZDOTDIR|FPATH|path|fpath|cdpath|manpath|argv|psvar"
    r"|module_path|mailpath|status|ARGC|SHLVL|HOME|_"
)
"""Variables that mean something to the shell, or to how programs are found and started."""
_ARITHMETIC = frozenset({"-eq", "-ne", "-lt", "-le", "-gt", "-ge", "-v", "-R", "-o", "-t"})
_UNARY = frozenset({"-n", "-z", "-e", "-f", "-d", "-r", "-w", "-x", "-s", "-L", "-h"})
_BINARY = frozenset({"=", "==", "!="})
_REDIRECTS = frozenset({"<", ">", ">>", ">|", "<>", "&>", "&>>", ">&", "<&", "<<<"})
_ZSH_ARITHMETIC = frozenset({"printf", "print", "kill"})


def check(lexer: Lexer) -> None:
    """Check all lists of commands that were read.

    Raises:
        Refused: a value could be evaluated.
    """
    lists = [_List(words, zsh=lexer.zsh) for words in lexer.lists]
    for one in lists:
        one.check()
    written = {name for one in lists for name in one.written}
    for one in lists:
        for word in one.run:
            if word.constant and word.text.removeprefix("./") in written:
                raise Refused(f'beside "{word.text}", which is written and then run')


class _List:
    """The words of one list of commands, read from left to right."""

    def __init__(self, words: Sequence[ShellWord], *, zsh: bool) -> None:
        self.words = words
        self.zsh = zsh
        self.position = 0
        self.written: set[str] = set()
        """Files that commands write."""
        self.run: list[ShellWord] = []
        """Programs, and the arguments of interpreters."""

    def check(self) -> None:
        command: list[ShellWord] = []
        while self.position < len(self.words):
            word = self.words[self.position]
            self.position += 1
            if not word.operator:
                if command or not self._keyword(word):
                    command.append(word)
            elif word.text in _REDIRECTS:
                self._target(word)
            elif word.text in _SEPARATORS:
                if word.text == "(" and command:
                    raise Refused("beside a function or an array", _mark_of(command))
                self._simple(command)
                command = []
                if word.text in (";;", ";&", ";;&"):
                    self._pattern()
            else:
                raise Refused("in or after a here-document", self._near(word))
        self._simple(command)

    def _near(self, word: ShellWord) -> int | None:
        following = [mark for one in self.words for mark in one.marks if one.start > word.start]
        return min(following, default=None)

    def _target(self, operator: ShellWord) -> None:
        following = self._next()
        if following is None or following.operator:
            raise Refused(f'beside a "{operator.text}" without a target')
        if ">" in operator.text:
            self.written.add(following.text.removeprefix("./"))

    def _next(self) -> ShellWord | None:
        if self.position >= len(self.words):
            return None
        self.position += 1
        return self.words[self.position - 1]

    def _keyword(self, word: ShellWord) -> bool:
        """Pass over a word that only gives commands their order; tell whether it was one."""
        if word.quoted or not word.constant:
            return False
        if word.text in _KEYWORDS:
            return True
        if word.text in _REFUSED:
            raise Refused(f'beside "{word.text}"')
        if word.text == "for":
            self._for()
        elif word.text == "case":
            subject, joined = self._next(), self._next()
            if subject is None or joined is None or joined.text != "in":
                raise Refused('beside a "case" without "in"')
            self._pattern()
        elif word.text == "[[":
            self._test()
        else:
            return False
        return True

    def _for(self) -> None:
        name = self._next()
        if name is None or not name.constant or name.quoted or not name.text.isidentifier():
            raise Refused('beside a "for" without a plain name')
        _check_name(name.text, name)
        if self.position < len(self.words) and self.words[self.position].text == "in":
            while (word := self._next()) is not None and not (word.operator and word.text in _SEPARATORS):
                if word.operator:
                    raise Refused('beside a "for" that isn\'t understood')

    def _pattern(self) -> None:
        """Pass over the patterns of a case, up to their parenthesis; or over the end of all cases."""
        while self.position < len(self.words) and self.words[self.position].text == "\n":
            self.position += 1
        if self.position < len(self.words) and self.words[self.position].text == "esac":
            return
        while (word := self._next()) is not None:
            if word.operator and word.text == ")":
                return
            if word.operator and word.text not in ("(", "|"):
                break
        raise Refused('beside a "case" that isn\'t understood')

    def _test(self) -> None:
        while (word := self._next()) is not None:
            if word.text == "]]" and not word.operator and not word.quoted:
                return
            if not word.operator and not word.quoted and word.text in _ARITHMETIC:
                raise Refused(f"beside [[ {word.text} ]], which evaluates its operands")
        raise Refused("beside a [[ that isn't closed")

    def _simple(self, words: Sequence[ShellWord]) -> None:
        """Check a command with its assignments and arguments."""
        at = 0
        while at < len(words) and (name := name_assigned(words[at])) is not None:
            _check_name(name, words[at])
            at += 1
        command = words[at:]
        if not command:
            return
        first = command[0]
        if first.marks:
            raise Refused("as a command", first.marks[0])
        if first.quoted or not first.constant or not _COMMAND.fullmatch(first.text):
            raise Refused("beside a command whose name is quoted or computed", _mark_of(words))
        if first.text in ("command", "builtin", "exec", "noglob", "nocorrect", "-") and len(command) > 1:
            if command[1].text[:1] == "-":
                raise Refused(f'beside "{first.text}" with options', _mark_of(words))
            self._simple(command[1:])
        if first.text in ("[", "test"):
            _check_test(command, words)
        elif first.text in _EVALUATING or (self.zsh and first.text in _ZSH_ARITHMETIC):
            plain = first.text in _NUMBER_ONLY and all(_is_number(one) for one in command[1:])
            if not plain and not _plain_set(command):
                raise Refused(f'beside "{first.text}", which evaluates its arguments', _mark_of(words))
        elif first.text == "printf" and (len(command) < 2 or command[1].text[:2] == "-v" or command[1].marks):
            raise Refused('beside "printf" with a name or a format that isn\'t constant', _mark_of(words))
        self._programs(command, words)
        if first.text == "tee":
            self.written.update(one.text.removeprefix("./") for one in command[1:])
        self.run += command if is_interpreter(first.text) else command[:1]

    def _programs(self, command: Sequence[ShellWord], words: Sequence[ShellWord]) -> None:
        plain = [Word(one.text, one.constant, one.prefix) for one in command]
        found = evaluated(plain)
        if found is not None:
            name, option = found.program or plain[0].text, found.kind == "option"
            where = (
                f'as an argument that "{name}" may take for an option unless "--" stands before it'
                if option
                else f'in what "{name}" runs'
            )
            raise Refused(where, _mark_of(command[found.number :]))
        reader = reads_program(plain)
        if reader is not None:
            raise Refused(f'beside "{reader}", which takes its program from what it reads', _mark_of(words))


def _mark_of(words: Sequence[ShellWord]) -> int | None:
    return next((mark for word in words for mark in word.marks), None)


def _check_name(name: str, word: ShellWord) -> None:
    if name.endswith("[]"):
        raise Refused("beside an array index", _mark_of([word]))
    if _SPECIAL.fullmatch(name) and not word.constant:
        raise Refused(f'in the variable "{name}", which means something to the shell', _mark_of([word]))


def _is_number(word: ShellWord) -> bool:
    return word.constant and _HARMLESS.fullmatch(word.text) is not None


def _plain_set(command: Sequence[ShellWord]) -> bool:
    """Tell whether a `set` only switches options on: `set -euo pipefail`."""
    return command[0].text == "set" and all(
        one.constant and re.fullmatch(r"[-+][euxfC]*o?|pipefail|errexit|nounset", one.text) for one in command[1:]
    )


def _check_test(command: Sequence[ShellWord], words: Sequence[ShellWord]) -> None:
    operands = list(command[1:])
    if command[0].text == "[":
        closing = operands.pop() if operands else None
        if closing is None or closing.text != "]":
            raise Refused("beside a [ that isn't closed", _mark_of(words))
    if operands and operands[0].text == "!" and operands[0].constant:
        operands.pop(0)
    known = [one.text if one.constant else "" for one in operands]
    if len(operands) == 2 and known[0] in _UNARY:
        return
    if len(operands) == 3 and known[1] in _BINARY:
        return
    if any(not one.constant for one in operands):
        raise Refused("beside a test other than of texts and files (=, !=, -n, -z, -f, …)", _mark_of(words))
