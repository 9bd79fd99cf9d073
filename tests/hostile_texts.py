"""Texts that a bundle could write to do something in a report, shared by the tests of every artefact."""

from pytest_mecheval.vocabulary import Verdict

SENTENCES = {
    "script": "<script>alert(1)</script><img src=x onerror=alert(2)>",
    "closing": "</details></td></table><!-- --> ]]> </textarea><svg/onload=alert(3)>",
    "entity": "&lt;script&gt; &#x3c;b&#x3e; &amp;lt;",
    "ansi": "\x1b[1A\x1b[2K\x1b[32mPASSED\x1b[0m \x1b]0;owned\x07 \x9b31m",
    "bidi": "a\u202eevil\u2066\u2069\u200b\u200f b \ufeff",
    "carriage return": f"REFUTED\r{Verdict.SUPPORTED}\r\n\x0b\x0c",
    "log commands": "x\n::error file=a.py::owned\n::add-mask::y\n##[error]z ##vso[task.complete]",
    "table breaker": "a | b || \\| c\n|---|---|\n| x |",
    "markdown": "# h\n* a\n> q\n![i](https://evil.example/x.png) [l](javascript:alert(1)) `` ` ``` **b** ~~s~~",
    "reference": "[x]: https://evil.example\n<https://evil.example> https://evil.example www.evil.example",
    "mention": "@maintainer closes #12 and GH-34, a@evil.example",
    "sarif": "[link](1) {0} {1} %s {{x}}",
    "csv": "=cmd()|' /C calc'!A0",
    "shell": "$(touch owned) `id` ; rm -rf ~ && ${HOME}",
    "path": "../../etc/passwd\\..\\x",
    "url": "javascript:alert(1)//file:///etc/passwd",
    "surrogate": "half \ud800 and \udfff",
    "null": "a\x00b\x01c",
    "combining": "z" + "\u0301" * 200,
    "long": "A" * 100_000,
    "long markdown": "*_[`|<" * 16_000,
}
"""Name of the attack to its text."""
