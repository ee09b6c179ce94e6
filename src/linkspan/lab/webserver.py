"""A real web server for the demo: nginx when it is installed, else Python's. It says who asks."""

import shutil
import sys
from pathlib import Path

_NGINX = """\
daemon off;
master_process off;
pid /tmp/nginx.pid;
events {}
http {
    access_log off;
    client_body_temp_path /tmp;
    proxy_temp_path /tmp;
    fastcgi_temp_path /tmp;
    uwsgi_temp_path /tmp;
    scgi_temp_path /tmp;
    server {
        listen 80;
        location / { return 200 "hello $remote_addr\\n"; }
    }
}
"""

_PYTHON = """\
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
class Hello(BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"hello {self.client_address[0]}\\n".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *_): ...
ThreadingHTTPServer(("", 80), Hello).serve_forever()
"""


def web_server(files: Path) -> tuple[list[str], list[str]]:
    """Flags and command of a container with a server on port 80; its one file is written to a directory in `files`."""
    directory = files / "web"
    directory.mkdir(exist_ok=True)
    if shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin"):
        (directory / "nginx.conf").write_text(_NGINX)
        command = ["nginx", "-e", "stderr", "-c", "/web/nginx.conf"]
    else:
        (directory / "hello.py").write_text(_PYTHON)
        command = [sys.executable, "/web/hello.py"]
    return ["-v", f"{directory}:/web:ro"], command
