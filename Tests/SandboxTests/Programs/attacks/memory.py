# All the memory of the machine.
import mmap
held = []

def eat():
    while True:
        held.append(bytearray(16 << 20))

attempt("heap", eat)
held.clear()

def maps():
    while True:
        held.append(mmap.mmap(-1, 64 << 20, flags=mmap.MAP_SHARED | mmap.MAP_ANONYMOUS))
        held[-1].write(b"x" * (64 << 20))

attempt("shared memory", maps)
held.clear()
attempt("memfd", os.memfd_create, "hidden")
call("mlockall", 151, 230, 3)
import resource
attempt("limit", resource.setrlimit, resource.RLIMIT_AS, (-1, -1))
# System V: memory that outlives its maker.
call("shmget", 29, 194, 0, 1 << 20, 0o1666)
