# One file of a terabyte, sparse, which costs nothing until somebody reads or copies it.
file = open("sparse", "wb")
attempt("truncate", file.truncate, 1 << 40)
attempt("seek", lambda: (file.seek(1 << 40), file.write(b"x"), file.flush()))
