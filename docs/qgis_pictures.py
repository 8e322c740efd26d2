"""Make the screenshots for docs/qgis.md: the plugin in a QGIS desktop, on the sample scene.

``python3 docs/qgis_pictures.py`` needs QGIS, Xvfb and openbox, but no display; it takes about a minute. The engine is
``.venv/bin/nssa-gis``, or the executable that the environment variable NSSA_GIS names. The script also prints the
measured times and memory.
"""

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PICTURES = Path(__file__).parent / "qgis"
DISPLAY = ":97"


def main() -> int:
    """Run the desktop and wait until it has saved the pictures."""
    missing = [name for name in ("Xvfb", "openbox", "qgis.bin") if not shutil.which(name)]
    if missing:
        print(f"skipped: {', '.join(missing)} not installed")
        return 0
    PICTURES.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        profile = Path(folder) / "profile" / "profiles" / "default" / "QGIS"
        profile.mkdir(parents=True)
        (profile / "QGIS3.ini").write_text(
            "[PythonPlugins]\nnssa_gis_qgis=true\nprocessing=true\n[qgis]\ncheckVersion=false\n"
            "[app]\ndefaultProjectCrs=EPSG:3857\n[UI]\nCustomization\\enabled=false\n"
        )
        environment = {
            **os.environ,
            "PATH": "/usr/bin:" + os.environ["PATH"],  # QGIS must find its own Python first
            "DISPLAY": DISPLAY,
            "QGIS_PLUGINPATH": str(ROOT / "qgis_plugin"),
            "XDG_RUNTIME_DIR": folder,
            "NSSA_GIS": os.environ.get("NSSA_GIS", str(ROOT / ".venv" / "bin" / "nssa-gis")),
            "NSSA_PICTURES": str(PICTURES),
            "NSSA_SCENE": str(ROOT / "sample_data" / "town.tif"),
            "NSSA_FOLDER": folder,
        }
        server = subprocess.Popen(["Xvfb", DISPLAY, "-screen", "0", "1400x900x24"], stderr=subprocess.DEVNULL)
        time.sleep(2)
        windows = subprocess.Popen(["openbox"], env=environment, stderr=subprocess.DEVNULL)
        command = ["qgis.bin", "--nologo", "--profiles-path", str(Path(folder) / "profile"), "--code"]
        desktop = subprocess.Popen(
            [*command, str(ROOT / "docs" / "qgis_session.py")], env=environment, stderr=subprocess.DEVNULL
        )
        try:
            desktop.wait(timeout=300)
        except subprocess.TimeoutExpired:
            print("the desktop did not end within 300 seconds")
        finally:
            for process in (desktop, windows, server):
                process.kill()
                process.wait()
        report = Path(folder) / "report.json"
        if not report.exists():
            print("the desktop wrote no report")
            return 1
        facts = json.loads(report.read_text())
        print(json.dumps(facts, indent=1))
        return 1 if facts.get("error") else 0


if __name__ == "__main__":
    sys.exit(main())
