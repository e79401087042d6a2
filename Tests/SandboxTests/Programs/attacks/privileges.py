# Another user, or more rights.
for name, action in (("setuid", os.setuid), ("setgid", os.setgid), ("seteuid", os.seteuid)):
    attempt(name, action, 0)
attempt("setgroups", os.setgroups, [0])
attempt("setresuid", os.setresuid, 0, 0, 0)
call("capset", 126, 91, ctypes.create_string_buffer(8), ctypes.create_string_buffer(24))
call("setfsuid", 122, 151, 0)
call("personality", 135, 92, 0x0040000)
call("no new privileges off", 157, 167, 38, 0, 0, 0, 0)
call("keep capabilities", 157, 167, 8, 1, 0, 0, 0)
if os.path.exists("/usr/bin/su"):
    attempt("su", os.execve, "/usr/bin/su", ["su", "-c", "echo HARM"], {})
