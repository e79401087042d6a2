# Takes its own program away, or puts another in its place.
open("json.py", "w").write("print('HARM imported')")
attempt("unlink", os.unlink, "json.py")
attempt("rewrite itself", os.pwrite, 0, b"print('HARM')", 0)
attempt("grow itself", os.ftruncate, 0, 1 << 20)
attempt("shell", os.execve, "/bin/sh", ["sh", "-c", "echo HARM shell"], {})
attempt("su", os.execve, "/bin/su", ["su"], {})
attempt("busybox", os.execve, "/bin/busybox", ["busybox"], {})
open("own", "w").write("#!/bin/sh\necho HARM script\n")
attempt("own script", os.execve, "./own", ["own"], {})
attempt("chmod own", os.chmod, "own", 0o755)
attempt("fexecve", os.execve, os.open("own", os.O_RDONLY), ["own"], {})
# Itself once more it may become; it is as bound as before.
sys.stdout.flush()
os.execve(sys.executable, ["python3", "-s", "-c", """
import os, socket
print("again", dict(os.environ))
for name, action in (("fork", os.fork), ("socket", socket.socket), ("shadow", lambda: open("/etc/shadow").read())):
    try:
        action(); print("HARM after exec", name)
    except OSError as error:
        print(name, error)
"""], {})
