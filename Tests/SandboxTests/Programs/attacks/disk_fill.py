# The disk, by large files, many files, files without a name, and files that are gone but open.
def fill(pattern):
    block, number = b"x" * (1 << 20), 0
    while True:
        with open(pattern.format(number), "wb") as file:
            for _ in range(8):
                file.write(block)
        number += 1

attempt("nameless", os.open, ".", os.O_TMPFILE | os.O_RDWR, 0o600)
open("hidden", "wb").close()
attempt("unlink", os.unlink, "hidden")
attempt("rename", os.rename, "hidden", "other")
attempt("fallocate", os.posix_fallocate, os.open("hidden", os.O_RDWR), 0, 1 << 40)
attempt("fill", fill, "file-{}")
