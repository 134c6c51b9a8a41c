"""Stands for a server that `servers.py` forks: hands on its streams and signals, and ends as the server does.

It is run without site-packages, which takes a hundredth of a second: `relay.py ADDRESS SCRIPT ARGUMENTS…`.
"""

import json
import os
import signal
import socket
import sys

address, *script = sys.argv[1:]
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as asked:
    asked.connect(address)
    socket.send_fds(asked, [json.dumps([script, os.getcwd(), dict(os.environ)]).encode()], [0, 1, 2])
    for stream in (0, 1, 2):
        os.close(stream)
    server = int(asked.recv(32))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: os.kill(server, number))
    code = int(asked.recv(32) or b"1")
if code < 0:
    signal.signal(-code, signal.SIG_DFL)
    os.kill(os.getpid(), -code)
os._exit(code)
