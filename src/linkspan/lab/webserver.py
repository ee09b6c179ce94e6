"""A real web server for the demo: nginx when it is installed, else Python's."""

import shutil
import sys
from pathlib import Path

_NGINX = """\
daemon off;
master_process off;
pid {files}/nginx.pid;
events {{}}
http {{
    access_log off;
    client_body_temp_path {files};
    proxy_temp_path {files};
    fastcgi_temp_path {files};
    uwsgi_temp_path {files};
    scgi_temp_path {files};
    server {{
        listen 80;
        location / {{ return 200 "hello $remote_addr\\n"; }}
    }}
}}
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


def command(files: Path) -> list[str]:
    """The command line of a server on port 80 that says who asks; `files` is a directory of its own."""
    nginx = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if nginx is None:
        return [sys.executable, "-c", _PYTHON]
    configuration = files / "nginx.conf"
    configuration.write_text(_NGINX.format(files=files))
    return [nginx, "-e", "stderr", "-c", str(configuration)]
