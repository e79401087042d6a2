# Every descriptor that the machine has.
import resource
files = []

def open_all():
    while True:
        files.append(os.open("/dev/null", os.O_RDONLY))

attempt("open", open_all)
print("opened", len(files))
if len(files) > 64:
    print("HARM", len(files), "files")
for file in files:
    os.close(file)
attempt("raise", resource.setrlimit, resource.RLIMIT_NOFILE, (1 << 20, 1 << 20))
pipes = []
attempt("pipes", lambda: [pipes.append(os.pipe()) for _ in range(1000)])
