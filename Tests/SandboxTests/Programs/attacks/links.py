# Out of the scratch folder by names: links, renames, parents, other names of it.
attempt("symlink", os.symlink, SECRET, "link")
attempt("symlink of a folder", os.symlink, "/", "root")
attempt("read by it", lambda: open("link").read())
attempt("hard link", os.link, SECRET, "hard")
open("own", "w").close()
attempt("rename out", os.rename, "own", OUTSIDE + "/planted")
attempt("link out", os.link, "own", OUTSIDE + "/planted")
attempt("replace", os.replace, "own", SECRET)
attempt("fifo", os.mkfifo, "fifo")
attempt("socket file", os.mknod, "socket", 0o140600)
for path in ("../secret", "../../etc/passwd", "./../" * 20 + "etc/passwd", "/proc/self/root" + SECRET,
             "/proc/self/cwd/../secret", f"/proc/{PARENT}/root/etc/passwd"):
    attempt(path, lambda: open(path).read(10))
# By folders that stay open, or that it goes to.
try:
    os.chdir("..")
except OSError:
    pass
attempt("after chdir", os.listdir, ".")
attempt("secret after chdir", lambda: open("secret").read())
