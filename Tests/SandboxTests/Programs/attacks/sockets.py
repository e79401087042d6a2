# A way out to anybody: every family and kind.
import socket
made = 0
for family in range(64):
    for kind in (1, 2, 3, 4, 5, 6, 10):
        try:
            socket.socket(family, kind, 0)
            print("HARM socket", family, kind)
        except OSError as error:
            if error.errno != errno.EPERM:
                print("HARM asked the network", family, kind, error)
attempt("pair", socket.socketpair)
attempt("server", lambda: __import__("asyncio").run(__import__("asyncio").sleep(0)))
call("connect", 42, 203, 0, 0, 0)
call("bind", 49, 200, 0, 0, 0)
call("sendmsg", 46, 211, 1, 0, 0)
call("io_uring_setup", 425, 425, 8, ctypes.create_string_buffer(120))
