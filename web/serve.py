"""Serves the page's folder on this machine. Usage: serve.py FOLDER PORT. Port 0 takes a free one."""

import functools
import http.server
import sys


class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        self.send_header("Cache-Control", "no-store")
        # Alone in its process a page's clock has 5 microseconds in the place of 100.
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_):
        pass


folder, port = sys.argv[1:]
handler = functools.partial(Handler, directory=folder)
with http.server.ThreadingHTTPServer(("127.0.0.1", int(port)), handler) as server:
    # `localhost` is what browsers trust with WebGPU.
    print(f"http://localhost:{server.server_port}", flush=True)
    server.serve_forever()
