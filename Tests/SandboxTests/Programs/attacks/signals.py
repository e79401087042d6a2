# Ends, or slows, the worker, the first process, everything.
import signal, fcntl, resource
own = os.getpid()
for target in {PARENT, os.getppid(), -1, 0, 2, -PARENT} - {own}:
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGSTOP, 0):
        attempt(f"kill {target} {number}", os.kill, target, number)
if own != 1:
    attempt("kill 1", os.kill, 1, signal.SIGKILL)
attempt("killpg", os.killpg, 0, signal.SIGKILL)
for name, x86, arm, arguments in () if PARENT == own else (
        ("tkill", 200, 130, (PARENT, 9)), ("tgkill", 234, 131, (PARENT, PARENT, 9)),
        ("sigqueue", 129, 138, (PARENT, 9, ctypes.create_string_buffer(128))),
        ("tgsigqueue", 297, 240, (PARENT, PARENT, 9, ctypes.create_string_buffer(128))),
        ("pidfd_open", 434, 434, (PARENT, 0)), ("pidfd_send_signal", 424, 424, (0, 9, 0, 0)),
        ("setpriority", 141, 140, (0, PARENT, 19)), ("sched_setaffinity", 203, 122, (PARENT, 8, b"\x01" + b"\0" * 7)),
        ("sched_setscheduler", 144, 119, (PARENT, 0, b"\0" * 4)), ("ioprio_set", 251, 30, (1, PARENT, 0)),
        ("timer_create", 222, 107, (0, 0, ctypes.create_string_buffer(8))), ("setpgid", 109, 154, (0, PARENT)),
        ("kcmp", 312, 272, (PARENT, own, 0, 0, 0)), ("process_madvise", 440, 440, (0, 0, 0, 0, 0)),
        ("prlimit", 302, 261, (PARENT, 7, ctypes.create_string_buffer(16), 0))):
    call(name, x86, arm, *arguments)
# A descriptor that signals whom it is told to.
for command in (8, 10, 15):
    attempt(f"fcntl {command}", fcntl.fcntl, 1, command, PARENT)
attempt("O_ASYNC", fcntl.fcntl, 1, fcntl.F_SETFL, 0o20000)
attempt("ioctl FIOSETOWN", fcntl.ioctl, 1, 0x8901, PARENT.to_bytes(4, "little"))
attempt("ioctl TIOCSTI", fcntl.ioctl, 0, 0x5412, b"x")
attempt("lease", fcntl.fcntl, os.open("mine", os.O_CREAT | os.O_RDWR), 1024, 1)
