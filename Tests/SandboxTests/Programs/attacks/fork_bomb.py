# Children by every call there is; none comes into being.
def bomb():
    while True:
        os.fork()

attempt("fork", bomb)
attempt("posix_spawn", os.posix_spawn, sys.executable, ["python3"], {})
call("clone", 56, 220, 17, 0, 0, 0, 0)
call("clone of a thread", 56, 220, 0x10f00, 0, 0, 0, 0)
call("clone3", 435, 435, ctypes.create_string_buffer(88), 88)
call("fork", 57, None)
call("vfork", 58, None)
import subprocess
attempt("subprocess", subprocess.run, ["/bin/true"])
if os.system("true") == 0:
    print("HARM system")
