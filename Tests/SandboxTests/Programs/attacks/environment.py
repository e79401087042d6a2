# What came with it: variables and descriptors.
allowed = {"PYTHONHASHSEED", "LC_CTYPE"}
for name in set(os.environ) - allowed:
    print("HARM variable", name)
for file in range(3, 4096):
    try:
        os.fstat(file)
        print("HARM descriptor", file)
    except OSError:
        pass
for file in (1, 2):
    attempt(f"read {file}", os.read, file, 1)
attempt("write 0", os.write, 0, b"x")
print("groups", os.getgroups(), "users", os.getresuid())
if os.getgroups() not in ([], [os.getgid()]):
    print("HARM groups", os.getgroups())
