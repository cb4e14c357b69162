"""A reader at a terminal: one shell for a page, in a fresh clone, with a server that goes on beside it."""

from __future__ import annotations

import os
import re
import shlex
import socket
import subprocess
import sys
from pathlib import Path

ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
#: What the reader's shell knows besides: the shop of the tutorial, the demo, and the end of a server.
KNOWN = r"""
background() {
  "$@" >>"$NOTES/out" 2>>"$NOTES/log" </dev/null &
  echo $! >"$NOTES/pid"
}
serve() {
  stop
  background "$RECANT_BINARY" "$@" --listen 127.0.0.1:$PORT
  for _ in $(seq 600); do
    if "$RECANT_BINARY" health --url http://127.0.0.1:$PORT/readyz >/dev/null 2>&1; then return; fi
    if ! kill -0 $(cat "$NOTES/pid") 2>/dev/null; then break; fi
    sleep 0.1
  done
  cat "$NOTES/log" >&2
  return 1
}
stop() {
  if [ -e "$NOTES/pid" ]; then
    kill $(cat "$NOTES/pid") 2>/dev/null
    while kill -0 $(cat "$NOTES/pid") 2>/dev/null; do sleep 0.1; done
    rm "$NOTES/pid"
  fi
}
shop() {
  cp examples/shop/shop.toml .
  "$RECANT_BINARY" import examples/shop/orders.csv --items examples/shop/catalogue.csv --user-col customer \
    --item-col product --type-col what --time-col at --config shop.toml --data-dir shop-data &&
    "$RECANT_BINARY" train --config shop.toml --data-dir shop-data
}
recant() {
  case $1 in
    serve | demo) serve "$@" && echo "recant listens on http://127.0.0.1:$PORT" ;;
    erase) "$RECANT_BINARY" "$@" --url http://127.0.0.1:$PORT ;;
    *) "$RECANT_BINARY" "$@" ;;
  esac
}
cargo() {
  case "$*" in
    "build --release --locked")
      if [ -n "$BUILD" ]; then command cargo "$@"; else
        mkdir -p target/release && ln -s "$RECANT_BINARY" target/release/recant
      fi ;;
    "run --release -- demo") recant demo >/dev/null ;;
    test) ;;
    *) return 1 ;;
  esac
}
page() {
  "$@" 0 >"$NOTES/page" 2>>"$NOTES/log" </dev/null &
  echo $! >>"$NOTES/pages"
  while [ ! -s "$NOTES/page" ]; do sleep 0.1; done
  sed 's/:[0-9][0-9]*\//:8000\//' "$NOTES/page"
}
"""


class Session:
    """A shell that is told one command after the other."""

    def __init__(self, folder: Path, clone: Path, binary: Path) -> None:
        self.folder = folder
        self.notes = folder / "notes"
        self.notes.mkdir()
        # Answers of a server that say no are failures, and nothing else is printed.
        (self.notes / ".curlrc").write_text("silent\nshow-error\nfail-with-body\n")
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = str(free.getsockname()[1])
        names = ("PATH", "HOME", "TMPDIR", "LANG", "CARGO_HOME", "RUSTUP_HOME")
        environment = {name: os.environ[name] for name in names if name in os.environ}
        environment |= {
            "CURL_HOME": str(self.notes),
            "NOTES": str(self.notes),
            "PORT": self.port,
            "RECANT_BINARY": str(binary),
            "BUILD": os.environ.get("RECANT_DOCS_BUILD", ""),
        }
        self._shell = subprocess.Popen(
            ["bash", "--norc"],
            cwd=clone,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        code, _ = self.run(KNOWN)
        assert code == 0

        #: The ids that a page shows, and those that came in their place.
        self.ids: dict[str, str] = {}

    def learn(self, shown: str | None, printed: str) -> None:
        """Takes down which id came in the place of which, for the commands that name it later."""
        self.ids |= dict(zip(ID.findall(shown or ""), ID.findall(printed), strict=False))

    def run(self, text: str, language: str = "console") -> tuple[int, str]:
        """Runs commands; how they ended and what they printed, without the log."""
        file = self.notes / "command"
        file.write_text(self.fitted(text))
        out, err = self.notes / "stdout", self.notes / "stderr"
        # A script ends at its first failure.
        script = f"(set -e; . {shlex.quote(str(file))})"
        ways = {"sh": script, "python": shlex.join([sys.executable, str(file)])}
        way = ways.get(language, f". {shlex.quote(str(file))}")
        assert self._shell.stdin is not None and self._shell.stdout is not None
        self._shell.stdin.write(
            f"{{ {way}; }} >{shlex.quote(str(out))} 2>{shlex.quote(str(err))} </dev/null; echo $?\n"
        )
        self._shell.stdin.flush()
        code = int(self._shell.stdout.readline())
        errors = [line for line in err.read_text().splitlines() if not line[:1].isdigit()]
        printed = out.read_text() + "\n".join(errors)
        return code, printed.replace(f"127.0.0.1:{self.port}", "127.0.0.1:8080")

    def fitted(self, text: str) -> str:
        """Commands with a port that is free in place of the usual ones, and what goes on put beside."""
        text = text.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}")
        text = ID.sub(lambda found: self.ids.get(found[0], found[0]), text)
        lines = text.splitlines(keepends=True)
        return "".join(
            f"page {line}" if line.startswith("python3 examples/shop/page.py ") else line
            for line in lines
        )

    def end(self) -> None:
        """Ends the server, the page and the shell."""
        self.run('stop; for pid in $(cat "$NOTES/pages" 2>/dev/null); do kill $pid; done')
        assert self._shell.stdin is not None
        self._shell.stdin.close()
        self._shell.wait(timeout=60)
