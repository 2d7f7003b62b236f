"""A server that does what its mode says: what a real sshd cannot be made to do.

Arguments: the host key, the mode, and more for some modes. Its first line of output is its port.
"""
import os
import signal
import socket
import subprocess
import sys
import threading

import paramiko

key, mode = paramiko.Ed25519Key.from_private_key_file(sys.argv[1]), sys.argv[2]


class Server(paramiko.ServerInterface):
    def __init__(self):
        self.tries = 0

    def check_auth_publickey(self, username, key):
        return paramiko.AUTH_SUCCESSFUL if mode == "says-nothing" else paramiko.AUTH_FAILED

    def get_allowed_auths(self, username):
        if mode == "says-nothing":
            return "publickey"
        return "password" if mode == "password" else "keyboard-interactive"

    def check_auth_password(self, username, password):
        self.tries += 1
        good = mode != "interactive" and password == "right"
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_auth_interactive(self, username, submethods):
        query = paramiko.InteractiveQuery("", "")
        query.add_prompt("Password: ", False)
        query.add_prompt("Colour? ", True)
        return query

    def check_auth_interactive_response(self, responses):
        good = list(responses) == ["right", "blue"]
        return paramiko.AUTH_SUCCESSFUL if good else paramiko.AUTH_FAILED

    def check_channel_request(self, kind, chanid):
        return paramiko.OPEN_SUCCEEDED

    def check_channel_exec_request(self, channel, command):
        if mode == "refuse-exec":
            return False
        if mode.startswith("late-news"):
            channel.in_window_threshold = channel.in_window_size // 2
        threading.Thread(target=execute, args=(channel, command), daemon=True).start()
        return True


def feed(channel, process):
    try:
        while data := channel.recv(65536):
            process.stdin.write(data)
            process.stdin.flush()
        process.stdin.close()
    except OSError:
        pass


def execute(channel, command):
    if mode == "silent-exec":
        channel.close()
        return
    if mode == "zero-exec":
        channel.send_exit_status(0)
        channel.close()
        return
    if mode == "noisy-kill" and b"kill -" in command:
        command = b"echo noise >&2; " + command
    process = subprocess.Popen(
        command, shell=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True)
    threading.Thread(target=feed, args=(channel, process), daemon=True).start()
    errors = threading.Thread(target=lambda: [channel.sendall_stderr(c) for c in iter(lambda: process.stderr.read1(4096), b"")])
    errors.start()
    for chunk in iter(lambda: process.stdout.read1(4096), b""):
        channel.sendall(chunk)
        if mode.startswith("cut") and b"now" in chunk:
            # The command has begun, and its end is never seen.
            if mode == "cut-zero":
                channel.send_exit_status(0)
            elif mode == "cut-twice":
                channel.send_exit_status(0)
                channel.send_exit_status(1)
                channel.send_exit_status(0)
            elif mode == "cut-connection":
                channel.get_transport().sock.shutdown(socket.SHUT_RDWR)
            channel.close()
            os.killpg(process.pid, signal.SIGKILL)
            return
    errors.join()
    status = process.wait()
    if mode == "lying-zero":
        status = 0
    if mode == "late-one":
        status = 1
    if mode != "no-status":
        channel.send_exit_status(status)
    channel.close()


class SaysNothing(paramiko.Transport):
    """Does not tell which algorithms of public keys it takes."""

    _remote_ext_info = property(lambda self: None, lambda self, value: None)


def tell_algorithm(handler, algorithm, keyblob, takes=paramiko.auth_handler.AuthHandler._generate_key_from_request):
    print(algorithm, flush=True)
    return takes(handler, algorithm, keyblob)


if mode == "says-nothing":
    paramiko.auth_handler.AuthHandler._generate_key_from_request = tell_algorithm


def tell_close(channel, message, takes=paramiko.Channel._handle_close):
    print("closed", channel.chanid, flush=True)
    return takes(channel, message)


if mode == "noisy-kill":
    paramiko.Transport._channel_handler_table[paramiko.common.MSG_CHANNEL_CLOSE] = tell_close


class TellsEnd(paramiko.Transport):
    def run(self):
        super().run()
        print("over", flush=True)


def serve(connection):
    kinds = {"says-nothing": SaysNothing, "noisy-kill": TellsEnd}
    transport = kinds.get(mode, paramiko.Transport)(connection)
    if mode == "late-news-of-openssh":
        transport.local_version = "SSH-2.0-OpenSSH_9.9"
    options = transport.get_security_options()
    if mode == "only-etm":
        options.digests = ["hmac-sha2-256-etm@openssh.com"]
        options.ciphers = ["aes128-ctr"]
    if mode == "only-old":
        options.ciphers = ["aes128-cbc"]
    transport.add_server_key(key)
    try:
        transport.start_server(server=Server())
    except Exception:
        pass


listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
keep = []
while True:
    connection, _ = listener.accept()
    keep.append(connection)
    serve(connection)
