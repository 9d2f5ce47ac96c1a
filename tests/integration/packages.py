"""What packages of npm say of what this project makes: verify.mjs of a folder here, whose packages come by its lockfile."""

import hashlib
import json
import os
import shutil
import subprocess

from pond import BIN

HERE = os.path.dirname(os.path.abspath(__file__))


def verdicts(name, documents):
    """One of each document. The packages are installed beside the build, once."""
    folder = os.path.join(os.path.dirname(os.path.abspath(BIN)), name)
    os.makedirs(folder, exist_ok=True)
    for file in ("package.json", "package-lock.json", ".npmrc", "verify.mjs"):
        shutil.copy(os.path.join(HERE, name, file), folder)
    mark = os.path.join(folder, "node_modules", ".of-" + hashlib.sha256(
        open(os.path.join(folder, "package-lock.json"), "rb").read()).hexdigest()[:16])
    if not os.path.exists(mark):
        subprocess.run(["npm", "ci"], cwd=folder, check=True, capture_output=True, timeout=120)
        open(mark, "w").close()
    done = subprocess.run(["node", "verify.mjs"], cwd=folder, capture_output=True, text=True,
                          timeout=60, input="".join(json.dumps(each) + "\n" for each in documents))
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
