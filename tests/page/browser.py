"""A headless Chromium, driven through chromedriver by the standard library alone."""

import base64
import json
import shutil
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

FLAGS = [
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
]
KEYS = {"Tab": "\ue004", "Right": "\ue014", "Left": "\ue012", "Up": "\ue013", "Down": "\ue015", "Escape": "\ue00c"}


def is_installed():
    """Returns whether Chromium and its driver are there."""
    return all(shutil.which(program) for program in ("chromium", "chromedriver"))


class Browser:
    """One browser window with a profile and a folder for downloads of its own. Use it in a `with` block."""

    def __init__(self, width=1400, height=1000):
        self.folder = tempfile.TemporaryDirectory(prefix="unrolled-page-")
        self.downloads = f"{self.folder.name}/downloads"
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        self.driver = subprocess.Popen(
            ["chromedriver", f"--port={port}"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        options = {
            "binary": shutil.which("chromium"),
            "args": FLAGS + [f"--user-data-dir={self.folder.name}/profile", f"--window-size={width},{height}"],
            "prefs": {"download.default_directory": self.downloads},
        }
        try:
            session = self._start({"capabilities": {"alwaysMatch": {"goog:chromeOptions": options}}})
        except BaseException:
            self.driver.kill()
            raise
        self.url += f"/session/{session['sessionId']}"
        self.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=self.downloads)

    def _start(self, capabilities):
        deadline = time.monotonic() + 60
        while True:
            try:
                return self._request("POST", "/session", capabilities)
            except (ConnectionError, urllib.error.URLError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def _request(self, method, path, body=None):
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data, {"Content-Type": "application/json"}, method=method)
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return json.load(answer)["value"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(json.load(error)["value"]["message"]) from None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        try:
            self._request("DELETE", "")
        finally:
            self.driver.terminate()
            self.driver.wait()
            self.folder.cleanup()

    def cdp(self, command, **parameters):
        """Runs a command of the browser's own protocol."""
        return self._request("POST", "/goog/cdp/execute", {"cmd": command, "params": parameters})

    def open(self, path):
        """Opens a file."""
        self._request("POST", "/url", {"url": f"file://{path}"})

    def run(self, script, *arguments):
        """Returns what the body of a JavaScript function returns."""
        return self._request("POST", "/execute/sync", {"script": script, "args": list(arguments)})

    def move(self, x, y, clicks=False):
        """Moves the pointer to a place of the window, and clicks there."""
        steps = [{"type": "pointerMove", "x": round(x), "y": round(y), "duration": 20}]
        if clicks:
            steps += [{"type": "pointerDown", "button": 0}, {"type": "pointerUp", "button": 0}]
        self._request("POST", "/actions", {"actions": [{"type": "pointer", "id": "mouse", "actions": steps}]})

    def press(self, *names):
        """Presses keys one after another."""
        keys = [KEYS.get(name, name) for name in names]
        steps = [{"type": kind, "value": key} for key in keys for kind in ("keyDown", "keyUp")]
        self._request("POST", "/actions", {"actions": [{"type": "key", "id": "keyboard", "actions": steps}]})

    def resize(self, width, height):
        """Gives the window a size, also one that is narrower than a window of the desktop may be."""
        self.cdp("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def scheme(self, name):
        """Chooses the colour scheme: `light` or `dark`."""
        self.cdp("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": name}])

    def screenshot(self, path, clip=None):
        """Saves a picture of the page; `clip` is left, top, width and height."""
        options = {"captureBeyondViewport": True}
        if clip:
            options["clip"] = dict(zip(("x", "y", "width", "height"), clip), scale=1)
        self._save(path, self.cdp("Page.captureScreenshot", **options)["data"])

    def pdf(self, path):
        """Prints the page."""
        self._save(path, self.cdp("Page.printToPDF", preferCSSPageSize=True, printBackground=False)["data"])

    @staticmethod
    def _save(path, data):
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
