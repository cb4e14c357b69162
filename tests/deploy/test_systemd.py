"""The unit: systemd understands it, and finds it well confined."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from conftest import DEPLOY, setting_of, settings

UNIT = DEPLOY / "systemd/recant.service"
#: Tenths of what `systemd-analyze security` calls exposure: 0 is best, 100 worst, below 20 is "OK".
EXPOSURE_MAX = 15


def tool(name: str) -> str:
    """A program of systemd that can look at files by themselves."""
    found = shutil.which(name)
    if found is None:
        pytest.skip(f"{name} is not installed")
    first = subprocess.run([found, "--version"], capture_output=True, text=True, check=True).stdout
    if int(re.findall(r"\d+", first)[0]) < 250:
        pytest.skip(f"{name} is older than systemd 250")
    return found


def run(*command: str | Path) -> str:
    """What a command prints that has to succeed."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    # The binary need not be installed here.
    binary = Path(os.environ["RECANT_BINARY"]).resolve()
    copy = tmp_path / UNIT.name
    copy.write_text(UNIT.read_text().replace("/usr/local/bin/recant", str(binary)))
    # It also tells what is wrong with units of this machine that are wanted first.
    assert UNIT.name not in run(tool("systemd-analyze"), "verify", copy)


def test_the_unit_is_confined() -> None:
    threshold = f"--threshold={EXPOSURE_MAX}"
    run(tool("systemd-analyze"), "security", "--offline=true", threshold, UNIT)


def test_the_user_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    run(tool("systemd-sysusers"), f"--root={tmp_path}", DEPLOY / "systemd/recant.sysusers.conf")
    entries = (tmp_path / "etc/passwd").read_text().splitlines()
    assert [line.split(":")[0] for line in entries if line.startswith("recant:")] == ["recant"]
    assert "\nUser=recant\nGroup=recant\n" in UNIT.read_text()


def test_the_settings_exist() -> None:
    variables = re.findall(r"^Environment=(\w+)=", UNIT.read_text(), re.MULTILINE)
    named = {setting_of(name) for name in variables}
    assert named and named <= settings()


def test_a_reload_is_the_signal_that_the_program_takes() -> None:
    (command,) = re.findall(r"^ExecReload=(.*)$", UNIT.read_text(), re.MULTILINE)
    assert command.endswith("kill -HUP $MAINPID")
