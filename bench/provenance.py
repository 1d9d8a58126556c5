"""What every recorded result says of where it comes from."""
import datetime
import pathlib
import platform
import subprocess
import sys


def processor():
    for line in open("/proc/cpuinfo"):
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def commit():
    root = pathlib.Path(__file__).resolve().parent.parent
    found = subprocess.run(["git", "-C", root, "rev-parse", "HEAD"], capture_output=True, text=True)
    return found.stdout.strip() or "unknown"


def command():
    return " ".join(pathlib.Path(word).name if word.startswith("/") else word for word in sys.argv)


def provenance():
    return {"command": command(), "commit": commit(), "machine": processor(),
            "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}
