# The machine's memory and disks.
for path in ("/dev/mem", "/dev/kmem", "/dev/port", "/dev/vda", "/dev/sda", "/dev/nvme0n1", "/dev/kvm", "/dev/fuse",
             "/dev/net/tun", "/dev/tty", "/dev/ptmx", "/dev/shm", "/dev/loop0", "/dev/kmsg", "/proc/kcore", "/proc/kmsg",
             "/proc/sysrq-trigger", "/proc/sys/kernel/core_pattern"):
    attempt(path, os.open, path, os.O_RDONLY)
    attempt(path + " to write", os.open, path, os.O_WRONLY)
attempt("mknod", os.mknod, "disk", 0o60666, os.makedev(254, 0))
attempt("mknod memory", os.mknod, "memory", 0o20666, os.makedev(1, 1))
call("iopl", 172, None, 3)
call("ioperm", 173, None, 0, 1024, 1)
call("reboot", 169, 142, 0xfee1dead, 672274793, 0x1234567, 0)
call("syslog", 103, 116, 3, ctypes.create_string_buffer(64), 64)
call("init_module", 175, 105, 0, 0, b"")
call("kexec_load", 246, 104, 0, 0, 0, 0)
call("swapon", 167, 224, b"mine", 0)
call("settimeofday", 164, 170, 0, 0)
call("clock_settime", 227, 112, 0, ctypes.create_string_buffer(16))
call("sethostname", 170, 161, b"taken", 5)
