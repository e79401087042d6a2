# The same calls under the numbers of another kind of program, past a filter that compares numbers.
sys.stdout.flush()
if ARM:
    os.abort()
libc.syscall(ctypes.c_long(0x40000000 + 41), 2, 1, 0)
print("HARM x32")
