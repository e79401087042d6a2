# Inodes: a million empty files.
def fill():
    number = 0
    while True:
        open(f"{number}", "w").close()
        number += 1

attempt("directory", os.mkdir, "folder")
attempt("files", fill)
