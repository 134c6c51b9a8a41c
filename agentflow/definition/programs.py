"""Which arguments of a program are themselves a program: the text after `bash -c`, a script's name, a wrapped command.

A value that comes from elsewhere must not stand there, nor where it could be taken for the option that says so. Only
well-known programs are known; of an option that isn't known it is assumed that it takes a value.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
_ASSIGNED = re.compile(r"[A-Za-z_]\w*=")
_RELEASE = re.compile(r"[\d.]+$")


@dataclass(frozen=True, slots=True)
class Word:
    """One argument, or the program's name."""

    text: str
    """As far as it is known."""
    constant: bool = True
    """Whether all of it is known."""
    prefix: str = ""
    """Of one that isn't constant: the known text at its beginning."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """A word that a program evaluates, or may take for an option."""

    number: int
    program: str
    """Who evaluates it; empty: it is the program itself."""
    kind: Literal["program", "text", "option"]


@dataclass(frozen=True, slots=True)
class _Options:
    """How a program's options are read."""

    flags: str = ""
    """Letters without a value."""
    values: str = ""
    """Letters with a value, in the same argument or in the next one."""
    glued: str = ""
    """Letters whose value can only stand in the same argument."""
    program: str = ""
    """Letters whose value is the program, or names it."""
    last: str = ""
    """The same, and no option follows."""
    assign: str = ""
    """Letters whose value is `name=value` and does no harm."""
    long: frozenset[str] = frozenset()
    """Long options without a value."""
    signs: str = "-"
    cluster: bool = False
    """Several letters of one argument may each take one of the next arguments, as in `-euo pipefail`."""
    operands: int = 1
    """Arguments of its own, the last of which is or names the program; of a wrapper: before the command."""
    rest: bool = True
    """Whether the other arguments do no harm."""
    mixed: bool = False
    """Whether options may follow the operands."""
    assignments: bool = False
    """Of a wrapper: whether `NAME=value` may stand before the command."""

    def read(self, text: str) -> tuple[int, bool, bool]:
        """Return how many of the next arguments are an option's, whether it gives the program, and is the last."""
        if text.startswith("--"):
            name, given, _ = text[2:].partition("=")
            return (0 if given or name in self.long else 1), name in _LONG_PROGRAM, False
        values = 0
        for number, letter in enumerate(text[1:], 1):
            following = 0 if number < len(text) - 1 else 1
            if letter in self.last:
                return following, True, True
            if letter in self.program:
                return following, True, False
            if self.cluster and letter in self.values:
                values += 1
            elif letter in self.glued:
                return 0, False, False
            elif letter in self.values or letter in self.assign or not (letter in self.flags or letter.isdigit()):
                return following, False, False
        return values, False, False


_LONG_PROGRAM = frozenset(
    {"eval", "print", "command", "init-command", "expression", "source", "file", "execute", "run"}
)
_SHELL = _Options(
    flags=_LETTERS, values="oO", signs="-+", cluster=True,
    long=frozenset({"login", "posix", "norc", "noprofile", "restricted", "verbose", "noediting", "emulate"}),
)  # fmt: skip
_AWK = _Options(flags="bCcghknNOPrsStV", values="Fil", assign="v", program="fe")
_INTERPRETERS: dict[str, _Options] = {
    **dict.fromkeys(("sh", "bash", "dash", "zsh", "ksh", "mksh", "ash", "rbash", "yash", "csh", "tcsh"), _SHELL),
    "fish": _Options(flags="ilnNPv", values="cCdDofp", long=frozenset({"login", "interactive", "private"})),
    **dict.fromkeys(("python", "pypy"), _Options(flags="bBdEhiIOPqsSuvVx", values="WX", last="cm")),
    "perl": _Options(flags="acfhnpsStTuUvwWX", values="I", glued="MmFCDdVx0li", program="eE"),
    "ruby": _Options(flags="achlnpsSvwy", values="IrCE", glued="FKWxTi0", program="e"),
    "node": _Options(flags="ichv", values="rC", program="ep"),
    "nodejs": _Options(flags="ichv", values="rC", program="ep"),
    "bun": _Options(operands=2),
    "deno": _Options(operands=2),
    "php": _Options(flags="ailmnqsvwhCH", values="cdzStgBE", program="rRfF"),
    "lua": _Options(flags="iEvW", values="l", program="e"),
    "luajit": _Options(flags="iEv", values="ljbO", program="e"),
    **dict.fromkeys(("awk", "gawk", "mawk", "nawk", "original-awk"), _AWK),
    **dict.fromkeys(("sed", "gsed"), _Options(flags="nErsuzb", values="l", glued="i", program="ef", mixed=True)),
    **dict.fromkeys(
        ("osascript", "rscript", "r", "julia", "elixir", "groovy", "scala", "guile", "sbcl", "swift", "tclsh", "wish",
         "expect", "script", "ex", "ghci", "runghc", "clojure", "raku", "qjs", "d8", "gdb", "ed", "dc", "nu", "xonsh",
         "elvish", "osh", "ysh", "oksh", "posh", "hush", "ts-node", "tsx", "ipython", "octave", "gnuplot", "racket"),
        _Options(),
    ),
}  # fmt: skip
_ALL_EVALUATED = frozenset({
    "powershell", "pwsh", "cmd", "su", "watch", "parallel", "entr", "tmux", "screen", "at", "batch", "crontab", "emacs",
    "vim", "vi", "nvim", "view", "make", "gmake", "erl",
})  # fmt: skip
"""Programs that find program text in too many places."""
_READING = frozenset({"at", "batch", "su", "parallel", "powershell", "pwsh", "cmd", "crontab"})
"""Those of them that read it from the standard input."""
_WRAPPERS: dict[str, _Options] = {
    "env": _Options(flags="i0v", values="uCSP", operands=0, assignments=True),
    "sudo": _Options(flags="AbBEeHiKklNnPSsvV", values="ughprtTUCDR", operands=0, assignments=True),
    "doas": _Options(flags="nsL", values="uC", operands=0),
    "runuser": _Options(flags="lmfP", values="ugcsG", operands=0),
    "nohup": _Options(operands=0),
    "setsid": _Options(flags="cfw", operands=0),
    "time": _Options(flags="apvqV", values="fo", operands=0),
    "timeout": _Options(
        flags="v", values="ks", operands=1, long=frozenset({"foreground", "preserve-status", "verbose"})
    ),
    "nice": _Options(values="n", operands=0),
    "ionice": _Options(flags="t", values="cnpPu", operands=0),
    "chrt": _Options(flags="abdfioprmRv", values="TPD", operands=1),
    "taskset": _Options(flags="apc", operands=1),
    "stdbuf": _Options(values="ioe", operands=0),
    "xargs": _Options(flags="0rtpxo", values="adEILnPsS", glued="eil", operands=0),
    "chroot": _Options(operands=1),
    "flock": _Options(flags="xsnuoF", values="wEc", operands=1),
    "strace": _Options(flags="cCdfFhiknqrtTvVwxyYzZ", values="abeEIoOpPsSuUX", operands=0),
    "busybox": _Options(operands=0),
    "toybox": _Options(operands=0),
    "caffeinate": _Options(flags="disum", values="tw", operands=0),
    "unbuffer": _Options(flags="p", operands=0),
    "command": _Options(flags="p", operands=0),
    "exec": _Options(flags="cl", values="a", operands=0),
    "builtin": _Options(operands=0),
    "ssh": _Options(
        flags="46AaCfGgKkMNnqsTtVvXxYy", values="BbcDEeFIiJLlmOopQRSWw", operands=1, rest=False
    ),
}  # fmt: skip
_RUN = {
    **dict.fromkeys(("tar", "gtar", "bsdtar"), re.compile(
        r"--(checkpoint-action|to-command|use-compress-program|rsh-command|rmt-command|info-script|new-volume-script)"
        r"|-[a-zA-Z]*[IF]")),
    "rsync": re.compile(r"--(rsh|rsync-path)|-[a-zA-Z0-9]*e"),
    "git": re.compile(r"--(upload-pack|receive-pack|exec|extcmd|exec-path|config-env)|-x"),
    **dict.fromkeys(("scp", "sftp"), re.compile(r"-[oS]")),
    "sort": re.compile(r"--compress-program"),
    **dict.fromkeys(("nc", "ncat", "netcat"), re.compile(r"--(exec|sh-exec|lua-exec)|-[ec]")),
    "socat": re.compile(""),  # an address may hold a second one, of a program
    "ssh-keygen": re.compile(r"-[Dw]"),
    "zip": re.compile(r"-TT|--unzip-command"),
}  # fmt: skip
"""Of programs that take the rest as it is: options whose value they run, or in which they find a command."""
_EXECUTE = frozenset({"-exec", "-execdir", "-ok", "-okdir"})


def evaluated(words: Sequence[Word]) -> Evaluated | None:
    """Return the first word of a command that isn't constant and would be evaluated.

    Args:
        words: the program's name and its arguments.
    """
    if not words:
        return None
    if not words[0].constant:
        return Evaluated(0, "", "program")
    name = program_name(words[0].text)
    if name in _ALL_EVALUATED:
        return _first(words, 1, name, "text")
    if name in ("find", "fd", "gfind"):
        return _found(words)
    if name in _WRAPPERS:
        return _wrapped(words, name, _WRAPPERS[name])
    if name in _INTERPRETERS:
        return _interpreted(words, name, _INTERPRETERS[name])
    return _option(words, name) or _inside(words)


def reads_program(words: Sequence[Word]) -> str | None:
    """Return the interpreter of a command that reads its program from the standard input, if one does."""
    for number, word in enumerate(words):
        name = program_name(word.text) if word.constant else ""
        if name in _READING:
            return name
        if name in _INTERPRETERS:
            fed = program_name(words[0].text) == "xargs"  # puts what it reads into the text
            return name if fed or not _has_program(words[number:], _INTERPRETERS[name]) else None
        if name not in _WRAPPERS and number == 0:
            return None
    return None


def is_interpreter(text: str) -> bool:
    """Tell whether a program runs what its arguments name, or another program."""
    name = program_name(text)
    return name in _INTERPRETERS or name in _WRAPPERS


def program_name(text: str) -> str:
    """Return how a program is known: without its folder, its release and `.exe`."""
    name = text.replace("\\", "/").rpartition("/")[2].lower().removesuffix(".exe")
    return _RELEASE.sub("", name).rstrip("-") or name


def _first(words: Sequence[Word], start: int, name: str, kind: Literal["text", "option"]) -> Evaluated | None:
    return next((Evaluated(at, name, kind) for at in range(start, len(words)) if not words[at].constant), None)


def _interpreted(words: Sequence[Word], name: str, options: _Options) -> Evaluated | None:
    """Follow the options up to the program; all of that must be constant."""
    at, operands, program = 1, options.operands, False
    while at < len(words):
        word = words[at]
        if not word.constant:
            if program and word.prefix[:1] not in ("", "-"):
                break
            if any(word.prefix.startswith(f"-{one}") and _ASSIGNED.match(word.prefix, 2) for one in options.assign):
                at += 1
                continue
            return Evaluated(at, name, "option" if program else "text")
        text = word.text
        at += 1
        if text == "--":
            return None if program else _first(words[: at + operands], at, name, "text")
        if text[:1] in options.signs and len(text) > 1:
            values, gives, last = options.read(text)
            program = program or gives
            free = len(text) == 2 and text[1] in options.assign
            for value in words[at : at + values]:
                if not value.constant and not (free and _ASSIGNED.match(value.prefix)):
                    return Evaluated(at, name, "text")
            at += values
            if last:
                return None
            continue
        operands -= 0 if program else 1
        if operands <= 0 or program:
            break
    if name == "perl" and any(word.constant and re.match(r"-\w*[npi]", word.text) for word in words[1:at]):
        return _first(words, at, name, "text")  # it opens what its arguments name, and "ls |" is a command
    if not options.mixed:
        return None
    end = next((number for number in range(at, len(words)) if words[number].text == "--"), len(words))
    return _first(words[:end], at, name, "option")


def _has_program(words: Sequence[Word], options: _Options) -> bool:
    at = 1
    while at < len(words):
        text = words[at].text if words[at].constant else "x"
        if text[:1] in options.signs and text not in ("-", "--"):
            values, gives, _ = options.read(text)
            if gives:
                return True
            if options is _SHELL and text[0] == "-" and "s" in text:
                return False
            at += values
        elif text != "--":
            return text != "-" and not text.startswith("/dev/")
        at += 1
    return False


def _wrapped(words: Sequence[Word], name: str, options: _Options) -> Evaluated | None:
    """Follow the options up to the command that a program runs, and look at that."""
    at, operands = 1, options.operands
    while at < len(words):
        word = words[at]
        assigned = options.assignments and _ASSIGNED.match(word.text if word.constant else word.prefix)
        if not word.constant and not assigned:
            if name == "ssh" and operands and word.prefix[:1] not in ("", "-"):
                operands, at = 0, at + 1
                continue
            return Evaluated(at, name, "option")
        if assigned or word.text == "--":
            at += 1
            continue
        if word.text[:1] == "-" and len(word.text) > 1:
            values, _, _ = options.read(word.text)
            found = _first(words[: at + 1 + values], at + 1, name, "text")
            if found is not None:
                return found
            at += 1 + values
            continue
        if operands == 0:
            if not options.rest:
                return _first(words, at, name, "text")
            inner = evaluated(words[at:])
            return None if inner is None else Evaluated(inner.number + at, inner.program or name, inner.kind)
        operands -= 1
        at += 1
    return None


def _option(words: Sequence[Word], name: str) -> Evaluated | None:
    """Return the first value of an option that a program runs."""
    run = _RUN.get(name)
    if run is None:
        return None
    for at in range(1, len(words)):
        before, word = words[at - 1], words[at]
        if word.constant:
            continue
        if (at > 1 and before.constant and run.fullmatch(before.text)) or run.match(word.prefix):
            return Evaluated(at, name, "text")
    return None


def _found(words: Sequence[Word]) -> Evaluated | None:
    for at, word in enumerate(words):
        if word.constant and word.text in _EXECUTE:
            inner = evaluated(words[at + 1 :])
            if inner is not None:
                return Evaluated(inner.number + at + 1, inner.program or "find", inner.kind)
    return None


def _inside(words: Sequence[Word]) -> Evaluated | None:
    """Look for an interpreter with an option among the arguments, as in `docker exec box sh -c …`."""
    for at in range(1, len(words) - 1):
        name = program_name(words[at].text) if words[at].constant else ""
        if name in _INTERPRETERS and words[at + 1].constant and words[at + 1].text[:1] == "-":
            inner = _interpreted(words[at:], name, _INTERPRETERS[name])
            if inner is not None:
                return Evaluated(inner.number + at, inner.program, inner.kind)
    return None
