# Changes what is not its own: contents, names, modes, owners, times, attributes.
import shutil
def write(path):
    with open(path, "a") as file:
        file.write("planted")

folders = [OUTSIDE, "/", "/tmp", "/var/tmp", "/dev/shm", "/etc", "/usr/lib", "/root", "/run", os.path.dirname(os.__file__)]
for folder in folders:
    attempt("write in " + folder, write, folder + "/planted")
    attempt("folder in " + folder, os.mkdir, folder + "/planted.d")
for path in (SECRET, sys.executable, os.__file__):
    attempt("append " + path, write, path)
    attempt("empty " + path, os.truncate, path, 0)
    attempt("empty by reading " + path, os.open, path, os.O_RDONLY | os.O_TRUNC)
    attempt("chmod " + path, os.chmod, path, 0o777)
    attempt("chown " + path, os.chown, path, 65534, 65534)
    attempt("times " + path, os.utime, path, (1, 1))
    attempt("attribute " + path, os.setxattr, path, "user.x", b"x")
    attempt("unlink " + path, os.unlink, path)
    attempt("rename " + path, os.rename, path, path + ".old")
call("creat", 85, None, SECRET.encode(), 0o666)
call("truncate", 76, 45, SECRET.encode(), 0)
call("utimensat", 280, 88, -100, SECRET.encode(), 0, 0)
call("fchmodat", 268, 53, -100, SECRET.encode(), 0o777)
call("quotactl", 179, 60, 0, 0, 0, 0)
shutil.rmtree(OUTSIDE, ignore_errors=True)
shutil.rmtree(os.path.dirname(os.__file__), ignore_errors=True)
