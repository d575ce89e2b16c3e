"""Port the installed Autobahn testsuite 25.10.1, which is Python 2, in place to Python 3.

Inside the suite a byte string of Python 2 becomes a str with one character per octet (Latin-1). It is converted to and
from bytes only where the suite meets the autobahn package. Every edit must match exactly as often as is said here.
"""

import importlib.util
import re
from pathlib import Path

from fissix.refactor import RefactoringTool, get_fixers_from_package

OCTETS = '''\
"""Octets as Latin-1 text, and back."""
import binascii


def B(x):
    return x.encode("latin-1") if isinstance(x, str) else x


def L(x):
    return bytes(x).decode("latin-1") if isinstance(x, (bytes, bytearray, memoryview)) else x


def b2a_hex(x):
    return binascii.b2a_hex(B(x)).decode("ascii")


hexlify = b2a_hex
'''

IMPORT = "from autobahntestsuite import _b2"

SENDING = """\
   def sendFrame(self, opcode, payload = b"", *args, **kwargs):
      return super().sendFrame(opcode, _b2.B(payload), *args, **kwargs)

   def sendMessage(self, payload, *args, **kwargs):
      return super().sendMessage(_b2.B(payload), *args, **kwargs)

   def sendMessageFrameData(self, payload, *args, **kwargs):
      return super().sendMessageFrameData(_b2.B(payload), *args, **kwargs)

   def sendPing(self, payload = None):
      return super().sendPing(_b2.B(payload))

   def sendPong(self, payload = None):
      return super().sendPong(_b2.B(payload))

   def sendCloseFrame(self, code = None, reasonUtf8 = None, isReply = False):
      return super().sendCloseFrame(code, _b2.B(reasonUtf8), isReply)


   def onOpen(self):

      self.connectionWasOpen = True
"""

FUZZING = [
    ("from twisted.python import log, usage\n", f"{IMPORT}\nfrom twisted.python import log, usage\n", 1),
    ("binascii.b2a_hex", "_b2.b2a_hex", 5),
    (
        'def asciiLogData(data, maxlen = 64, replace = False):\n   ellipses = " ..."\n',
        'def asciiLogData(data, maxlen = 64, replace = False):\n   data = _b2.B(data)\n   ellipses = b" ..."\n',
        1,
    ),
    ("p = ''.join(payload)", "p = b''.join(payload)", 1),
    ("self.http_request_data if hasattr", "_b2.L(self.http_request_data) if hasattr", 1),
    ("self.http_response_data if hasattr", "_b2.L(self.http_response_data) if hasattr", 1),
    ("self.runCase.onMessage(msg, binary)", "self.runCase.onMessage(_b2.L(msg), binary)", 1),
    ("self.runCase.onPong(payload)", "self.runCase.onPong(_b2.L(payload))", 1),
    ("report_filename), 'w')", "report_filename), 'w', encoding = 'latin-1', errors = 'backslashreplace')", 4),
    ('.encode("utf-8"))', '.encode("utf-8").decode("latin-1"))', 1),
    ("ll.encode('utf8')", "ll.encode('utf8').decode('latin-1')", 1),
    ("json.dumps(case, sort_keys", "json.dumps(case, default = _b2.L, sort_keys", 1),
    ("   def onOpen(self):\n\n      self.connectionWasOpen = True\n", SENDING, 1),
    # on loopback only
    ("listenWS(factory, sslContext)", "listenWS(factory, sslContext, interface = '127.0.0.1')", 1),
    ("reactor.listenTCP(webport, web)", "reactor.listenTCP(webport, web, interface = '127.0.0.1')", 1),
]

# File, what is there, what is to be there, how often.
SUITE_EDITS = [
    # pickles differ by the identity of what is in them; the value is what counts
    ("case/case.py", "return pickle.dumps(obj1) == pickle.dumps(obj2)", "return obj1 == obj2", 1),
    ("case/case6_x_x.py", "res = v.validate(vss[:i])", "res = v.validate(binascii.B(vss[:i]))", 1),
    (
        "case/case10_1_1.py",
        "len(self.payload) / self.p.autoFragmentSize",
        "len(self.payload) // self.p.autoFragmentSize",
        1,
    ),
    # WAMP wants unittest2, and is no part of the WebSocket tests
    ("wstest.py", "from . import serializer\n", "", 1),
    # case 9.9.1 is not in the list of cases that run, and needs a zope.interface long gone
    ("case/__init__.py", "from .case9_9_1 import *\n", "", 1),
    (
        "case/case12_x_x.py",
        "import copy, os, pkg_resources, hashlib, binascii\n",
        f"import copy, os, pkg_resources, hashlib\n{IMPORT} as binascii\n",
        1,
    ),
    (
        "case/case12_x_x.py",
        "def onMessage(self, msg, binary):\n",
        "def onMessage(self, msg, binary):\n   msg = binascii.B(msg)\n",
        1,
    ),
    ("case/case12_x_x.py", "msg = ''", "msg = b''", 1),
]

# A float division in sendFrame(payload_len = ...).
AUTOBAHN_EDITS = [("websocket/protocol.py", "payload_len / len(payload)", "payload_len // len(payload)", 1)]

PROGRAMS = (
    "__init__ _version broadcast caseset choosereactor echo fuzzing massconnect report serializer spectemplate testee "
    "util wstest"
)


def folder_of(package: str) -> Path:
    """Where a package is installed."""
    spec = importlib.util.find_spec(package)
    assert spec and spec.origin, f"{package} is not installed"
    return Path(spec.origin).parent


def convert(path: Path, tool: RefactoringTool) -> None:
    """Apply 2to3, after writing octets beyond ASCII as escapes, as Python 2 understood them."""
    raw = path.read_bytes().replace(b"\r\n", b"\n")
    source = re.sub(rb"[\x80-\xff]", lambda octet: b"\\x%02x" % octet[0][0], raw).decode("ascii")
    path.write_text(str(tool.refactor_string(source.rstrip("\n") + "\n", str(path))), encoding="ascii")


def edit(path: Path, old: str, new: str, times: int) -> None:
    """Replace what is there exactly so many times."""
    text = path.read_text(encoding="utf-8")
    assert text.count(old) == times, f"{path}: expected {times} x {old!r}, found {text.count(old)}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def edit_case(path: Path) -> None:
    """What all files of cases need."""
    text = re.sub(r"(?m)^import binascii$", f"{IMPORT} as binascii", path.read_text(encoding="ascii"))
    path.write_text(text.replace("(object, Case, )", "(Case, )"), encoding="ascii")


def main() -> None:
    """Port it."""
    suite, autobahn = folder_of("autobahntestsuite"), folder_of("autobahn")
    tool = RefactoringTool(get_fixers_from_package("fissix.fixes"))
    cases = sorted((suite / "case").glob("*.py"))
    for path in [suite / f"{name}.py" for name in PROGRAMS.split()] + cases:
        convert(path, tool)
    for path in cases:
        edit_case(path)
    (suite / "_b2.py").write_text(OCTETS, encoding="ascii")
    for old, new, times in FUZZING:
        edit(suite / "fuzzing.py", old, new, times)
    for base, edits in ((suite, SUITE_EDITS), (autobahn, AUTOBAHN_EDITS)):
        for name, old, new, times in edits:
            edit(base / name, old, new, times)
    for base in (suite, autobahn):  # a stale one is told by its time in whole seconds, and this is the same second
        for compiled in base.rglob("*.pyc"):
            compiled.unlink()


main()
