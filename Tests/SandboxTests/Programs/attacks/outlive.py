# A grandchild in a session of its own that goes on when all is over.
def daemon():
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        while True:
            open(OUTSIDE + "/alive", "a").write("x")

attempt("setsid", os.setsid)
attempt("daemon", daemon)
attempt("double fork", lambda: os.fork() or os.fork())
call("subreaper", 157, 167, 36, 1, 0, 0, 0)
call("pdeathsig", 157, 167, 1, 0, 0, 0, 0)
call("dumpable", 157, 167, 4, 1, 0, 0, 0)
