# What the worker knows: its state, its keys, its processes, the machine's users.
def read(path):
    with open(path, "rb") as file:
        return file.read(100)

for path in (SECRET, "/etc/shadow", "/etc/passwd", "/etc/hostname", "/proc/self/environ", "/proc/self/maps",
             "/proc/1/environ", "/proc/1/cmdline", f"/proc/{PARENT}/environ", f"/proc/{PARENT}/mem",
             f"/proc/{PARENT}/maps", "/proc/cpuinfo", "/proc/mounts", "/sys/class/net/lo/address",
             "/root/.bashrc", "/bin/sh", "/dev/vda", "/dev/sda", "/dev/kmsg", "/etc/ssl/openssl.cnf"):
    attempt(path, read, path)
for path in ("/", "/proc", "/etc", "/root", "/home", "/tmp", "/var", "/dev", OUTSIDE):
    attempt("list " + path, os.listdir, path)
call("open_by_handle_at", 304, 265, -100, ctypes.create_string_buffer(64), 0)
call("process_vm_readv", 310, 270, PARENT, 0, 0, 0, 0, 0)
call("openat2", 437, 437, -100, ctypes.c_char_p(SECRET.encode()), ctypes.create_string_buffer(24), 24)
# Descriptors of others: links to pipes and files in memory, which no rule of paths knows.
for process in (PARENT, os.getppid(), 1):
    for file in range(256):
        path = f"/proc/{process}/fd/{file}"
        if process == os.getpid():
            continue
        try:
            os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            print("HARM", path)
        except OSError:
            pass
